"""The names that PyTorch programs use for tensors, operators, random numbers, saving and devices are here, or refuse in words."""

import importlib
import inspect

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.errors import ArgumentError, DeviceError, DTypeError

NAMES = """
BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor Generator HalfTensor IntTensor LongTensor ShortTensor Size Tensor
__version__ are_deterministic_algorithms_enabled autograd.Variable channels_last contiguous_format default_generator
preserve_format set_flush_denormal strided use_deterministic_algorithms
accelerator accelerator.current_accelerator accelerator.is_available all allclose amp amp.autocast amp.GradScaler
arange argmax as_tensor autocast autograd autograd.Function autograd.grad backends backends.cuda backends.cuda.matmul
backends.cuda.matmul.allow_tf32 backends.cudnn backends.cudnn.allow_tf32 backends.cudnn.benchmark backends.cudnn.deterministic
backends.mps backends.mps.is_available backends.mps.is_built bfloat16 bool can_cast cat compile cos cuda cuda.BFloat16Tensor
cuda.Event cuda.FloatTensor cuda.amp cuda.amp.GradScaler cuda.amp.autocast cuda.current_device cuda.device_count
cuda.empty_cache cuda.get_device_capability cuda.get_device_name cuda.get_device_properties cuda.is_available
cuda.is_bf16_supported cuda.manual_seed cuda.manual_seed_all cuda.max_memory_allocated cuda.memory_allocated
cuda.memory_reserved cuda.reset_peak_memory_stats cuda.set_device cuda.synchronize cumsum device diag double dtype e empty
equal exp eye finfo flatten float float16 float32 float64 from_numpy full gather get_default_device get_default_dtype
get_float32_matmul_precision get_rng_state half iinfo inf inference_mode initial_seed int int16 int32 int64 int8 isin linspace
load log log1p log_softmax long manual_seed matmul max mm mps mps.is_available mps.synchronize multinomial nan no_grad nonzero
normal ones ones_like outer pi poisson pow promote_types rand rand_like randint randint_like randn randn_like random
random.fork_rng randperm result_type roll rsqrt save seed serialization serialization.add_safe_globals
serialization.safe_globals set_default_device set_default_dtype set_default_tensor_type set_float32_matmul_precision
set_printoptions set_rng_state short sigmoid sin softmax sort split sqrt stack sum tanh tensor topk tril triu uint8 unique
utils version version.__version__ version.cuda where zeros zeros_like
"""
METHODS = """
T abs add_ all any argmax argmin backward bernoulli_ bfloat16 bmm bool byte cauchy_ char clamp clone contiguous copy_ cpu cuda
cumsum data detach device dim div div_ double dtype eq exp expand expand_as exponential_ fill_ flatten flip float geometric_
grad half index_add_ index_fill_ index_select int is_complex is_cuda is_pinned is_sparse is_xpu item log log10 log_normal_ long
mT masked_fill masked_fill_ matmul max mean min mm ndim nelement new_zeros nonzero norm normal_ numel numpy permute pin_memory
pow random_ ravel relu repeat repeat_interleave requires_grad requires_grad_ reshape retain_grad scatter scatter_ shape short
size softmax squeeze std sum swapaxes t tanh to to_dense tolist topk transpose type type_as unbind uniform_ unique unsqueeze
var view view_as zero_
"""
REFUSED = "complex polar sparse_coo_tensor sparse_csr_tensor spmm view_as_complex view_as_real"
REFUSED_METHODS = "coalesce indices to_sparse"


def found(thing, name):
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def test_every_name_is_there():
    missing = []
    for owner, names in ((tl, NAMES + REFUSED), (tl.Tensor, METHODS + REFUSED_METHODS)):
        for name in names.split():
            try:
                thing = found(owner, name)
            except AttributeError:
                missing.append(name)
            else:
                assert not inspect.isroutine(thing) or thing.__doc__, f"{name} has no docstring"
    assert not missing


def test_what_is_refused_says_why_and_what_to_do():
    for name in REFUSED.split():
        with pytest.raises(DTypeError, match=rf"^{name}: (complex numbers|sparse tensors) are not supported.*; "):
            getattr(tl, name)(tl.ones(2, 2))
    for name in REFUSED_METHODS.split():
        with pytest.raises(DTypeError, match=rf"^{name}: sparse tensors are not supported"):
            getattr(tl.ones(2), name)()
    with pytest.raises(DeviceError, match="mps"):
        tl.device("mps")
    with pytest.raises(DeviceError, match="'cpu' and 'cuda' only"):
        tl.mps.synchronize()


def test_imports_as_in_programs():
    for name in (
        "backends.cudnn",
        "backends.cuda",
        "backends.mps",
        "cuda.amp",
        "amp",
        "mps",
        "version",
        "accelerator",
        "random",
        "serialization",
    ):
        importlib.import_module(f"tensorlite.{name}")
    from tensorlite.backends import cudnn
    from tensorlite.cuda.amp import GradScaler, autocast

    assert tl.autocast is tl.amp.autocast and issubclass(autocast, tl.autocast)
    assert issubclass(GradScaler, tl.amp.GradScaler)
    before = cudnn.benchmark
    tl.backends.cudnn.benchmark = True
    assert cudnn.benchmark
    tl.backends.cudnn.benchmark = before
    tl.backends.cuda.matmul.allow_tf32 = False
    tl.backends.cuda.enable_flash_sdp(True)
    assert (
        not tl.backends.mps.is_available()
        and tl.inf == float("inf")
        and tl.nan != tl.nan
        and tl.pi == np.pi
        and tl.e == np.e
    )


# ---------------------------------------------------------------- accepted without effect
def test_compile_and_precision():
    def f(x):
        return x * 2

    assert tl.compile(f) is f and tl.compile(f, mode="reduce-overhead", fullgraph=True) is f
    assert tl.compile(dynamic=True)(f) is f and tl.compile(f)(tl.ones(1)).item() == 2
    tl.set_float32_matmul_precision("high")
    assert tl.get_float32_matmul_precision() == "high"
    tl.set_float32_matmul_precision("highest")
    tl.use_deterministic_algorithms(True, warn_only=True)
    assert tl.are_deterministic_algorithms_enabled() and tl.set_flush_denormal(True) is False
    tl.use_deterministic_algorithms(False)
    assert not tl.are_deterministic_algorithms_enabled()
    with pytest.raises(ArgumentError, match="one of highest, high, medium, not 'low'"):
        tl.set_float32_matmul_precision("low")


def test_mixed_precision_switched_off_does_nothing():
    x = tl.ones(2, 2)
    with tl.autocast("cpu", dtype=tl.bfloat16, enabled=False):
        assert (x @ x).dtype is tl.float32
    assert tl.amp.autocast("cuda", enabled=False)(lambda: 3)() == 3 and tl.amp.is_autocast_available("cuda")
    w = tl.ones(2, requires_grad=True)
    scaler, optimizer = tl.amp.GradScaler("cuda", enabled=False), tl.optim.SGD([w], lr=0.5)
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0.5, 0.5] and scaler.get_scale() == 1 and not scaler.is_enabled()
    scaler.load_state_dict(scaler.state_dict())


def test_variables_of_old(device):
    """As PyTorch's: a leaf of its own on the same memory, which requires grad only where it is told to."""
    for lib in (tl, pytest.importorskip("torch")):
        w = lib.ones(2, requires_grad=True)
        for x in (lib.ones(2), w, w * 2):
            for wanted in (False, True):
                v = lib.autograd.Variable(x, requires_grad=wanted)
                assert v is not x and v.is_leaf and v.requires_grad is wanted
        x = lib.ones(2)
        lib.autograd.Variable(x).fill_(3)
        assert x.tolist() == [3, 3] and lib.autograd.grad_mode.no_grad is lib.no_grad
        assert {"Function", "Variable", "functional", "grad"} <= set(dir(lib.autograd))
    with pytest.raises(DTypeError, match="Variable: a tensor is needed, not list"):
        tl.autograd.Variable([1.0])


# ---------------------------------------------------------------- types of old
def test_type_names(device):
    torch = pytest.importorskip("torch")
    for name in ["float64", "float32", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool"]:
        x = tl.zeros(2, dtype=name, device="cpu")
        assert x.type() == torch.zeros(2, dtype=getattr(torch, name)).type()
        assert tl.ones(2, device="cpu").type(x.type()).dtype is x.dtype
    x = tl.ones(2)
    assert x.type() == ("torch.FloatTensor" if device == "cpu" else f"torch.{device}.FloatTensor")
    assert (
        x.type(tl.int32).device is x.device
        and x.type(tl.int32).dtype is tl.int32
        and x.type("torch.LongTensor").dtype is tl.int64
    )
    assert x.byte().dtype is tl.uint8 and x.char().dtype is tl.int8 and x.short().dtype is tl.int16
    with pytest.raises(
        DTypeError, match=r"'torch\.WideTensor' is no type of tensors; the names are torch\.FloatTensor"
    ):
        x.type("torch.WideTensor")


def test_types_as_arguments():
    x = tl.ones(2)
    assert (
        x.type(tl.LongTensor).dtype is tl.int64 and isinstance(x, tl.FloatTensor) and not isinstance(x, tl.LongTensor)
    )
    assert not isinstance(x, tl.cuda.FloatTensor) and tl.cuda.FloatTensor is tl.cuda.FloatTensor
    assert tl.BFloat16Tensor([1.0]).dtype is tl.bfloat16
    assert not hasattr(tl.cuda, "WideTensor") and not hasattr(tl, "WideTensor")
    assert (
        x.pin_memory() is x and not x.is_pinned() and x.to_dense() is x and not (x.is_xpu or x.is_sparse or x.is_cuda)
    )
    if not tl.cuda.is_available():
        with pytest.raises(DeviceError):
            tl.cuda.FloatTensor(2)
        with pytest.raises(DeviceError):
            x.type("torch.cuda.FloatTensor")


def test_set_default_tensor_type():
    try:
        for t in ("torch.DoubleTensor", "tensorlite.DoubleTensor", tl.DoubleTensor):
            tl.set_default_dtype(tl.float32)
            tl.set_default_tensor_type(t)
            assert tl.zeros(1).dtype is tl.float64
        with pytest.raises(ArgumentError, match="only floating-point dtypes"):
            tl.set_default_tensor_type(tl.LongTensor)
    finally:
        tl.set_default_dtype(tl.float32)
        tl.set_default_device(None)


# ---------------------------------------------------------------- devices without a GPU
@pytest.mark.skipif(tl.cuda.is_available(), reason="for machines without a GPU")
def test_questions_about_a_gpu_that_is_not_there():
    assert tl.accelerator.current_accelerator() is None and not tl.accelerator.is_available()
    assert tl.cuda.device_count() == tl.accelerator.device_count() == 0 and not tl.cuda.is_bf16_supported()
    assert not tl.cuda.is_initialized()
    tl.cuda.empty_cache()
    for use in (
        tl.cuda.Event, tl.cuda.get_device_capability, tl.cuda.get_device_properties, tl.cuda.memory_reserved, tl.cuda.init,
        tl.cuda.max_memory_allocated, tl.cuda.reset_peak_memory_stats, tl.accelerator.synchronize, tl.cuda.current_device,
    ):  # fmt: skip
        with pytest.raises(DeviceError):
            use()


# ---------------------------------------------------------------- printing
def test_print_options(device):
    torch = pytest.importorskip("torch")
    x = tl.tensor([1 / 3, 100.0], device="cpu")
    try:
        for options in (
            {"precision": 2},
            {"precision": 6},
            {"sci_mode": True},
            {"sci_mode": True, "precision": 1},
            {"profile": "short"},
        ):
            tl.set_printoptions(profile="default")
            torch.set_printoptions(profile="default")
            tl.set_printoptions(**options)
            torch.set_printoptions(**options)
            assert repr(x).split() == repr(torch.tensor(x.tolist())).split(), options
            torch.set_printoptions(profile="default", sci_mode=None)
        tl.set_printoptions(profile="default", threshold=5, edgeitems=1)
        assert repr(tl.arange(9, device="cpu")) == "tensor([0,  ..., 8])"
        tl.set_printoptions(profile="full")
        assert "..." not in repr(tl.arange(2000))
        with pytest.raises(ArgumentError, match="one of default, short, full"):
            tl.set_printoptions(profile="long")
    finally:
        tl.set_printoptions(profile="default")
        torch.set_printoptions(profile="default")
    assert repr(x) == "tensor([  0.3333, 100.0000])"


def test_tensorboard_is_refused_in_words():
    with pytest.raises(ImportError, match="has no SummaryWriter: tensorlite writes no TensorBoard logs"):
        from tensorlite.utils.tensorboard import SummaryWriter  # noqa: F401
