"""The backend of the device "fake": the plain kernels of tensorlite/backend/base.py on the stand-in for CuPy."""

from standin import xp

from tensorlite.backend import keys, register
from tensorlite.backend.base import Backend, memory
from tensorlite.backend.cpu import CpuBackend, unmark
from tensorlite.errors import DeviceError


class StandinBackend(Backend):
    """Host and device memory are apart, and CuPy's rules hold; every kernel is the plain one."""

    xp, name = xp, "fake"
    number = CpuBackend.number  # the held arrays are NumPy's

    def from_host(self, array):
        return self.xp.array(array)

    def to_host(self, array):
        return array.get()

    def writable(self, value):
        unmark(value._a)  # CuPy marks nothing as read-only
        return value

    def strided(self, x, shape, strides):
        unmark(x._a)
        return super().strided(x, shape, strides)

    def is_view(self, out, source) -> bool:
        a, b = out._a, source._a
        if a is b or a.base is None:
            return a is b
        return a.base is b or a.base is b.base or memory(a) is memory(b)

    def check_key(self, shape, key) -> None:
        keys.check(self, shape, key)


def register_fake() -> None:
    """Make the device type "fake" known."""

    def make(index):
        if index:
            raise DeviceError(f"unknown device fake:{index}: there is one stand-in, 'fake'")
        return StandinBackend()

    register("fake", make)
