"""The functions behind the layers, under PyTorch's names: `import tensorlite.nn.functional as F`. A family a file; what is an
operation of the engine itself comes from ops/."""

from tensorlite import methods
from tensorlite.creation import one_hot
from tensorlite.nn.functional.activation import *
from tensorlite.nn.functional.attention import *
from tensorlite.nn.functional.bilinear import *
from tensorlite.nn.functional.ctc import *
from tensorlite.nn.functional.distance import *
from tensorlite.nn.functional.dropout import *
from tensorlite.nn.functional.embedding import *
from tensorlite.nn.functional.fractional import *
from tensorlite.nn.functional.grid import *
from tensorlite.nn.functional.loss import *
from tensorlite.nn.functional.loss_class import *
from tensorlite.nn.functional.normalization import *
from tensorlite.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from tensorlite.ops.fused import layer_norm, linear, rms_norm
from tensorlite.ops.pad import pad
from tensorlite.ops.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from tensorlite.ops.resize import (
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

_OWN = (
    "batch_norm", "bilinear", "celu", "elu", "glu", "group_norm", "gumbel_softmax", "hardshrink", "hardtanh", "instance_norm",
    "normalize", "relu6", "rrelu", "scaled_dot_product_attention", "softplus", "softshrink", "threshold",
)  # fmt: skip
# a list in the place of a tensor is refused in words, and a word in the place of a number
methods.speak(globals(), _OWN)
