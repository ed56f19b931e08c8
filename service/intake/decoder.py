"""The program that decodes one picture: bytes on stdin, exit status 0 or BROKEN.

On stdout are the SHA-256 of the pixels, 32 bytes, and the picture as PNG.

A malicious picture may take over a codec, so it runs as a script without our packages and without
an environment, and can open no file or socket, fork, or exceed its limits of memory and CPU time.
"""

import ctypes
import hashlib
import io
import resource
import signal
import sys
import warnings

from PIL import (  # all that decoding may need: later no file can be opened
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

BROKEN = 3
MEMORY_BYTES = 400 * 1024**2  # in addition to BYTES_PER_PIXEL
BYTES_PER_PIXEL = 40
CPU_S = 20
PR_SET_PDEATHSIG = 1  # prctl(2)

_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)


def sandbox(pixels: int, max_bytes: int) -> None:
    """Set this process's resource limits to what decoding needs."""
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES + BYTES_PER_PIXEL * pixels,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_FSIZE: max_bytes,
        resource.RLIMIT_NOFILE: 3,  # stdin, stdout and stderr
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def decoded(data: bytes, form: str) -> Image.Image:
    """The picture, upright, as 8-bit RGB or RGBA in sRGB, without metadata."""
    source = Image.open(io.BytesIO(data), formats=[form])
    if form != "JPEG" and getattr(source, "n_frames", 1) > 1:
        raise ValueError("animated")
    source.load()
    profile = source.info.get("icc_profile")
    image = ImageOps.exif_transpose(source)
    if image.mode.startswith("I"):  # 16-bit greyscale
        image = image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    has_alpha = image.has_transparency_data
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGBA" if has_alpha else "RGB")
    image = _in_srgb(image, profile)
    image = image.convert("RGBA" if has_alpha else "RGB")
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    return bare


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, embedded, srgb, outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError):  # for another colour space, or damaged: ignored
        return image


def main() -> int:
    """Decode stdin to stdout; returns the exit status. Ends with its parent, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    form, pixels, max_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    data = sys.stdin.buffer.read()
    Image.preinit()  # imports plugins now; `formats` above decides which may decode
    sandbox(pixels, max_bytes)
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        image, png = decoded(data, form), io.BytesIO()
        digest = hashlib.sha256(image.tobytes()).digest()
        image.save(png, "PNG", compress_level=1)
        sys.stdout.buffer.write(digest)
        sys.stdout.buffer.write(png.getbuffer())
        sys.stdout.buffer.flush()
    except Exception:  # whatever a codec raises; its text may tell of our memory and files
        return BROKEN
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
