"""Sequences of different lengths in one batch, as in torch.nn.utils.rnn: padded (a rectangle) and packed (no padding)."""

from collections import namedtuple

from tensorlite import errors
from tensorlite.creation import full, tensor
from tensorlite.ops.join import cat, stack
from tensorlite.tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip

_Packed = namedtuple("PackedSequence", "data batch_sizes sorted_indices unsorted_indices")


class PackedSequence(_Packed):
    """Sequences by steps: `data` holds first the step 0 of all, longest sequence first, then the step 1 of those that have one, ...

    data (total length, *); batch_sizes (longest length,) int64 on the CPU: how many sequences have that step;
    sorted_indices, unsorted_indices: the order by length and back, or None if they came in that order.

    Example:
        >>> import tensorlite as tl
        >>> packed = tl.nn.utils.rnn.pack_sequence([tl.tensor([1, 2, 3]), tl.tensor([4])])
        >>> packed.data.tolist(), packed.batch_sizes.tolist()
        ([1, 4, 2, 3], [2, 1, 1])
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None and isinstance(data, (tuple, list)) and len(data) == 2:
            data, batch_sizes = data
        if not isinstance(batch_sizes, Tensor) or batch_sizes.device.type != "cpu":
            raise errors.ArgumentError(
                f"PackedSequence: batch_sizes must be a tensor on the CPU, got {errors.describe(batch_sizes)}"
                if isinstance(batch_sizes, Tensor)
                else f"PackedSequence: batch_sizes must be a tensor on the CPU, got {type(batch_sizes).__name__}"
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs) -> "PackedSequence":
        """The same with `data.to(...)`; the indices move to the device, and batch_sizes stays on the CPU."""
        data = self.data.to(*args, **kwargs)
        indices = [i if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def cpu(self):
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, *args, **kwargs):
        """On the GPU."""
        return self.to(self.data.cuda(*args, **kwargs).device)

    def double(self):
        """data as float64."""
        return self._replace(data=self.data.to(dtype="float64"))

    def float(self):
        """data as float32."""
        return self._replace(data=self.data.to(dtype="float32"))

    def half(self):
        """data as float16."""
        return self._replace(data=self.data.to(dtype="float16"))

    def long(self):
        """data as int64."""
        return self._replace(data=self.data.to(dtype="int64"))

    def int(self):
        """data as int32."""
        return self._replace(data=self.data.to(dtype="int32"))

    def short(self):
        """data as int16."""
        return self._replace(data=self.data.to(dtype="int16"))

    def char(self):
        """data as int8."""
        return self._replace(data=self.data.to(dtype="int8"))

    def byte(self):
        """data as uint8."""
        return self._replace(data=self.data.to(dtype="uint8"))

    def pin_memory(self):
        """Itself: there is no pinned memory here."""
        return self

    def is_pinned(self) -> bool:
        """False: there is no pinned memory here."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Whether data lies on a GPU."""
        return self.data.device.type == "cuda"


def invert_permutation(permutation):
    """q with q[p[i]] = i; None of None."""
    return None if permutation is None else permutation.argsort()


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True) -> PackedSequence:
    """Pack a rectangle: input (T, B, *), or (B, T, *) with batch_first, of which sequence i is lengths[i] steps long.

    enforce_sorted=True: the lengths must fall; False: they are sorted here, and pad_packed_sequence sorts back.

    Raises:
        ArgumentError: no sequence, a length below 1 or above T, lengths that rise. ShapeError: not one length for each sequence.
    """
    name = "pack_padded_sequence"
    lengths = [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    if input.ndim < 2:
        raise errors.ShapeError(f"{name}: input must have at least 2 dimensions, got {errors.describe(input)}")
    input = input.transpose(0, 1) if batch_first else input
    steps, batch = input.shape[:2]
    if len(lengths) != batch or not batch:
        raise errors.ShapeError(
            f"{name}: a length for each of the {batch} sequences is needed, at least one: got {len(lengths)} lengths,"
            f" input {errors.describe(input)} as (T, B, *)"
        )
    if min(lengths) < 1 or max(lengths) > steps:
        raise errors.ArgumentError(
            f"{name}: every length must be from 1 to {steps}, the steps of input; got {min(lengths)} to {max(lengths)}"
        )
    order = None
    if not enforce_sorted:
        places = sorted(range(batch), key=lambda i: -lengths[i])
        lengths = [lengths[i] for i in places]
        order = tensor(places, device=input.device)
        input = input.index_select(1, order)
    elif lengths != sorted(lengths, reverse=True):
        raise errors.ArgumentError(
            f"{name}: lengths must be in falling order, got {lengths}; sort the sequences, or give enforce_sorted=False"
        )
    sizes = [sum(n > t for n in lengths) for t in range(lengths[0])]
    rows = [t * batch + k for t, n in enumerate(sizes) for k in range(n)]
    data = input.flatten(0, 1).index_select(0, tensor(rows, device=input.device))
    return PackedSequence(data, tensor(sizes, dtype="int64", device="cpu"), order)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None) -> tuple:
    """(rectangle, lengths) of a PackedSequence, in the order that it was packed from: (T, B, *), or (B, T, *) with batch_first.

    total_length: T, if it shall be more than the longest length.

    Raises:
        ArgumentError: total_length is less than the longest length.
    """
    sizes, data = sequence.batch_sizes.tolist(), sequence.data
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise errors.ArgumentError(
            f"pad_packed_sequence: total_length={total_length} is less than the longest sequence, {longest}"
        )
    places, first = [], 0
    for n in sizes + [0] * ((total_length or longest) - longest):
        places.append([first + k if k < n else len(data) for k in range(sizes[0])])
        first += n
    filled = cat([data, full((1, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)])
    out = filled[tensor(places, device=data.device)]
    lengths = tensor([sum(n > k for n in sizes) for k in range(sizes[0])], dtype="int64", device="cpu")
    if (order := sequence.unsorted_indices) is not None:
        out, lengths = out.index_select(1, order), lengths[order.to("cpu")]
    return (out.transpose(0, 1) if batch_first else out), lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right") -> Tensor:
    """Sequences (L, *) of different lengths as a rectangle (T, B, *), or (B, T, *) with batch_first, T the longest length.

    Raises:
        ArgumentError: no sequences, or a padding_side other than "right" and "left". ShapeError: they differ in more than length.
    """
    if padding_side not in ("right", "left"):
        raise errors.ArgumentError(f"pad_sequence: padding_side must be 'right' or 'left', not {padding_side!r}")
    sequences = list(sequences)
    if not sequences:
        raise errors.ArgumentError("pad_sequence: at least one sequence is needed")
    head = sequences[0]
    strange = [tuple(s.shape) for s in sequences if not s.ndim or s.shape[1:] != head.shape[1:]]
    if strange:
        raise errors.ShapeError(
            f"pad_sequence: the sequences may differ in the first dimension only, got {tuple(head.shape)} and {strange[0]}"
        )
    longest = max(len(s) for s in sequences)

    def padded(s):
        if len(s) == longest:
            return s
        rest = full((longest - len(s), *s.shape[1:]), padding_value, dtype=s.dtype, device=s.device)
        return cat([s, rest] if padding_side == "right" else [rest, s])

    return stack([padded(s) for s in sequences], 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False) -> list:
    """The sequences (L, *) of a rectangle padded on the right: the reverse of pad_sequence."""
    padded = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [
        s[: int(n)] for s, n in zip(padded, lengths.tolist() if isinstance(lengths, Tensor) else lengths, strict=True)
    ]


def pack_sequence(sequences, enforce_sorted=True) -> PackedSequence:
    """Pack a list of sequences (L, *). See pack_padded_sequence."""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences) -> list:
    """The sequences (L, *) of a PackedSequence, in the order that it was packed from."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)
