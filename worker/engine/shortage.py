"""What a machine lacked when a library failed, by the error. Without torch itself."""

import errno
from typing import Final

# What torch says where the host's memory is too little is a RuntimeError like any other.
_OF_TORCH: Final = "DefaultCPUAllocator: "
_LACKED: Final = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.ENOSPC: "disk space",
}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the host had too little memory; a device's errors are its library's."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    is_torchs = isinstance(error, RuntimeError) and _OF_TORCH in str(error)
    return is_torchs or isinstance(error, MemoryError)


def lacked(error: BaseException | None) -> str | None:
    """What there was too little of, if that is what lies beneath an error."""
    while error is not None:
        if is_out_of_memory(error):
            return "memory"
        if isinstance(error, OSError) and error.errno in _LACKED:
            return _LACKED[error.errno]
        error = error.__cause__ or error.__context__
    return None
