"""The program that looks for a watermark: a picture on stdin, on stdout a line of JSON.

Exit status 0 or BROKEN. A malicious picture may take over a codec, so it runs as a script without
our packages and without an environment, and can open no file or socket, fork, or exceed its limits
of memory and CPU time.
"""

import ctypes
import importlib.util
import io
import json
import resource
import signal
import sys
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image, JpegImagePlugin, MpoImagePlugin, PngImagePlugin
from PIL import WebPImagePlugin as _WebP

BROKEN = 3
MEMORY_BYTES = 1024**3  # with what NumPy reserves
BYTES_PER_PIXEL = 16
CPU_S = 20
MAX_BYTES = 4096
PR_SET_PDEATHSIG = 1  # prctl(2)
_PLUGINS = (GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, _WebP)


def sandbox(pixels: int) -> None:
    """Set this process's resource limits to what decoding needs."""
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES + BYTES_PER_PIXEL * pixels,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_FSIZE: MAX_BYTES,
        resource.RLIMIT_NOFILE: 3,  # stdin, stdout and stderr
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def main() -> int:
    """Answer for stdin; returns the exit status. Ends with its parent, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    found = importlib.util.spec_from_file_location(
        "watermark", Path(__file__).with_name("watermark.py")
    )
    assert found is not None
    assert found.loader is not None
    watermark = importlib.util.module_from_spec(found)
    found.loader.exec_module(watermark)
    watermark.detect(np.zeros((8, 8), np.uint8))  # imports what NumPy needs for it
    pixels, data = int(sys.argv[1]), sys.stdin.buffer.read()
    Image.preinit()
    sandbox(pixels)
    Image.MAX_IMAGE_PIXELS = pixels
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP", "GIF"])
        if image.width * image.height > pixels:
            return BROKEN
        luma = np.asarray(image.convert("RGB").convert("L"))
        sys.stdout.write(json.dumps({"payload": watermark.detect(luma)}) + "\n")
        sys.stdout.flush()
    except Exception:  # whatever a codec raises; its text may tell of our memory and files
        return BROKEN
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
