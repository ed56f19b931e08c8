"""The program that decodes one picture: bytes on stdin, PNG on stdout, one of the statuses below.

It runs as a file, by itself and without our packages, because it is the place where a codec may be
taken over: it has no environment, can open no file and no socket, and cannot grow, spin or fork.
"""

import io
import resource
import sys
import warnings

from PIL import (  # every module it may need, while it may still open files
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

BROKEN = 3
MEMORY_BYTES = 400 * 1024**2  # and for each pixel
BYTES_PER_PIXEL = 40
CPU_S = 20

_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)


def confine(pixels: int, written_bytes: int) -> None:
    """Give up whatever decoding does not need."""
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES + BYTES_PER_PIXEL * pixels,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_FSIZE: written_bytes,
        resource.RLIMIT_NOFILE: 3,  # stdin, stdout, stderr, and nothing more
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def decoded(data: bytes, form: str) -> Image.Image:
    """The picture upright, in RGB or RGBA of 8 bits in sRGB, and nothing beside its pixels."""
    sent = Image.open(io.BytesIO(data), formats=[form])
    if form != "JPEG" and getattr(sent, "n_frames", 1) > 1:
        raise ValueError("animated")
    sent.load()
    profile = sent.info.get("icc_profile")
    image = ImageOps.exif_transpose(sent)
    if image.mode.startswith("I"):  # 16 bits of grey
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
        told = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, told, srgb, outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError):  # of another kind of picture, or damaged: as if untold
        return image


def main() -> int:
    """Decode. Answers the exit status."""
    form, pixels, written = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    data = sys.stdin.buffer.read()
    Image.preinit()  # looks for more modules, which `formats` keeps away from the picture
    confine(pixels, written)
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        png = io.BytesIO()
        decoded(data, form).save(png, "PNG", compress_level=1)
        sys.stdout.buffer.write(png.getbuffer())
        sys.stdout.buffer.flush()
    except Exception:  # whatever a codec makes of it; the words are about memory and files
        return BROKEN
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
