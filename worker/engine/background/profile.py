"""What the bits of background work depend on besides its request."""

import hashlib
import platform
import zlib

import numpy as np
import PIL

from latentry.version import __version__


def profile_id(*facts: str) -> str:
    """A short hash of what a result's bits depend on, with what all of them depend on."""
    software = (
        f"Pillow {PIL.__version__}",
        f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
        f"numpy {np.__version__}",
        f"latentry {__version__}",
        platform.machine(),
    )
    return hashlib.sha256("\n".join((*facts, *software)).encode()).hexdigest()[:16]
