"""What PyTorch's torch.distributed is in a build without it: the question whether it is there. It is not, yet."""


def is_available() -> bool:
    """Whether processes can be joined to a group: False, so that programs which ask go on in one process.

    Example:
        >>> import tensorlite as tl
        >>> tl.distributed.is_available() and tl.distributed.is_initialized()
        False
    """
    return False


def is_initialized() -> bool:
    """Whether this process has joined a group: False."""
    return False
