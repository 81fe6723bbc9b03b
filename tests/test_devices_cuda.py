"""The device "cuda" without a GPU: what a user reads where there is none, and CudaBackend on a pretended CuPy."""

import sys
import types

import pytest
import standin

import tensorlite as tl
from tensorlite import backend
from tensorlite.backend import cuda as cuda_backend
from tensorlite.errors import DeviceError

# ---- the GPU that is not there ---------------------------------------------------------------------------------------

USES = {
    "x.cuda()": lambda: tl.ones(2).cuda(),
    "x.to": lambda: tl.ones(2).to("cuda"),
    "x.to a number": lambda: tl.ones(2).to(0),
    "device=": lambda: tl.zeros(2, device="cuda:0"),
    "backend": lambda: tl.device("cuda").backend,
    "with": lambda: tl.device("cuda").__enter__(),
    "set_default_device": lambda: tl.set_default_device("cuda"),
    "synchronize": lambda: tl.cuda.synchronize(),
    "memory_allocated": lambda: tl.cuda.memory_allocated(),
    "current_device": lambda: tl.cuda.current_device(),
    "get_device_name": lambda: tl.cuda.get_device_name(),
    "set_device": lambda: tl.cuda.set_device(0),
}


@pytest.fixture
def no_gpu_yet(monkeypatch):
    """As in a process that has not used a GPU; what the test makes of it is forgotten afterwards."""
    known = {k: v for k, v in backend._devices.items() if k[0] != "cuda"}
    monkeypatch.setattr(backend, "_devices", known)
    monkeypatch.setattr(cuda_backend, "_gpu", None)
    return monkeypatch


@pytest.mark.parametrize("use", USES)
def test_without_cupy_the_extra_is_named(no_gpu_yet, use):
    no_gpu_yet.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError) as caught:
        USES[use]()
    assert str(caught.value) == (
        "device 'cuda' needs the package 'cupy', which is not installed. "
        "Install it with: pip install 'tensorlite[cuda13]' (or 'tensorlite[cuda12]' for CUDA 12)"
    )
    assert tl.get_default_device().type == "cpu" and tl.ones(1).device.type == "cpu"


@pytest.mark.parametrize("use", USES)
def test_without_a_gpu_the_driver_speaks(no_gpu_yet, use):
    cupy = pytest.importorskip("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as e:
        said = str(e)
    else:
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError) as caught:
        USES[use]()
    assert str(caught.value) == f"device 'cuda' cannot be used on this machine: CuPy is installed, but {said}"


def test_a_broken_cupy_says_what_it_lacks(no_gpu_yet):
    def broken(name):
        raise ImportError("libcudart.so.13: cannot open shared object file")

    no_gpu_yet.setattr(cuda_backend, "importlib", types.SimpleNamespace(import_module=broken))
    with pytest.raises(DeviceError, match=r"^device 'cuda' cannot be used: libcudart\.so\.13: cannot open"):
        tl.ones(2).cuda()
    assert not tl.cuda.is_available()


def test_questions_that_need_no_gpu(no_gpu_yet):
    no_gpu_yet.setitem(sys.modules, "cupy", None)
    assert tl.cuda.is_available() is False and tl.cuda.device_count() == 0
    tl.cuda.empty_cache()
    with pytest.raises(DeviceError, match=r"cuda\.synchronize: a GPU is needed, not 'cpu'"):
        tl.cuda.synchronize("cpu")


@pytest.mark.parametrize("seed", ["manual_seed", "manual_seed_all"])
def test_cuda_seeds_are_the_seed(seed):
    getattr(tl.cuda, seed)(7)
    a = tl.rand(3)
    tl.manual_seed(7)
    assert tl.rand(3).tolist() == a.tolist()


# ---- the GPU that is there: CudaBackend on a module that answers as CuPy would, with the stand-in's arrays -----------


@pytest.fixture
def two_gpus(no_gpu_yet):
    """A pretended CuPy with two GPUs, the current one being 0."""
    state = types.SimpleNamespace(current=0, calls=[])

    class Device:
        def __init__(self, id=None):
            self.id = state.current if id is None else id

        def use(self):
            state.current = self.id

        def synchronize(self):
            state.calls.append(("synchronize", self.id))

    pool = types.SimpleNamespace(used_bytes=lambda: 512, free_all_blocks=lambda: state.calls.append("freed"))
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 2, getDeviceProperties=lambda i: {"name": f"Pretended {i}".encode()}
    )

    class Cupy:
        cuda = types.SimpleNamespace(Device=Device, runtime=runtime)
        get_default_memory_pool = staticmethod(lambda: pool)

        def __getattr__(self, name):
            return getattr(standin.xp, name)

    special = types.SimpleNamespace(erf=_erf)
    no_gpu_yet.setitem(sys.modules, "cupy", Cupy())
    no_gpu_yet.setitem(sys.modules, "cupyx.scipy.special", special)
    return state


def _erf(x):
    """cupyx.scipy.special.erf has the loops e->d, f->f, d->d."""
    return standin.xp.tanh(x).astype({"e": "d"}.get(x.dtype.char, x.dtype))


def test_cuda_is_the_current_gpu(two_gpus):
    assert tl.cuda.is_available() and tl.cuda.device_count() == 2
    x = tl.ones(2, requires_grad=True)
    y = x.cuda() * 3
    assert y.device is tl.device("cuda:0") is tl.ones(1, device="cuda").device and y.is_cuda
    y.sum().backward()
    assert x.grad.device.type == "cpu" and x.grad.tolist() == [3, 3]
    assert y.cpu().detach().numpy().tolist() == [3, 3]
    with tl.device("cuda"):
        assert tl.zeros(1).device is tl.device("cuda", 0)
    assert repr(tl.zeros(2, device=0)) == "tensor([0., 0.], device='cuda:0')"


def test_cuda_functions(two_gpus):
    assert tl.cuda.current_device() == 0 and tl.cuda.get_device_name() == "Pretended 0"
    assert tl.cuda.memory_allocated("cuda:0") == 512
    tl.cuda.synchronize()
    tl.cuda.synchronize(0)
    tl.cuda.empty_cache()
    assert two_gpus.calls == [("synchronize", 0), ("synchronize", 0), "freed"]


@pytest.mark.parametrize("dtype", [tl.float16, tl.float32, tl.float64])
def test_erf_keeps_the_dtype(two_gpus, dtype):
    assert tl.ones(2, dtype=dtype, device="cuda").erf().dtype == dtype


def test_set_device_chooses_the_gpu_of_the_process(two_gpus):
    tl.cuda.set_device("cuda:1")
    assert two_gpus.current == 1 and tl.cuda.current_device() == 1
    assert tl.ones(1, device="cuda").device is tl.device("cuda:1")


def test_a_second_gpu_is_refused(two_gpus):
    tl.ones(1, device="cuda")
    with pytest.raises(DeviceError, match="computes on cuda:0 already; use one process for each GPU"):
        tl.ones(1, device="cuda:1")
    with pytest.raises(DeviceError, match="already"):
        tl.cuda.set_device(1)


def test_a_gpu_number_too_high(two_gpus):
    with pytest.raises(DeviceError, match=r"device 'cuda:2' is not there: this machine has 2 GPU\(s\)"):
        tl.ones(1, device="cuda:2")
