"""`tl.version`: the version of tensorlite, and of the CUDA that CuPy was built for (None where there is no CuPy)."""

from tensorlite.backend.cuda import cuda_version

__version__ = "0.1.0"
hip = None  # AMD's; not supported
git_version = "unknown"


def __getattr__(name):
    if name == "cuda":  # asked for only when needed: it imports CuPy
        return cuda_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
