"""Pictures from outside: valid ones come out upright and without metadata, others are refused."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from latentry.errors import BrokenImage, Busy, ImageTooLarge, UnsupportedImage
from latentry.provenance.confined.process import Examined, Said
from service.intake import decode, decoder
from service.intake.decode import Intake
from service.intake.header import read_header
from tests.hostile.pictures import FORMATS, animated, chunk, encoded, jpeg_claiming, painted, png
from tests.latentry.serve.processes import ends

DECODER = Path(decode.__file__).with_name("decoder.py")


@pytest.fixture
def intake():
    made = Intake(max_pixels=4096**2)
    yield made
    made.close()


async def pixels(intake: Intake, data: bytes) -> Image.Image:
    picture = await intake.take(data)
    kept = Image.open(io.BytesIO(picture.png))
    assert (kept.format, kept.size) == ("PNG", (picture.width, picture.height))
    assert not kept.info
    return kept


def has_red_above(image: Image.Image) -> bool:
    image = image.convert("RGB")
    above = image.getpixel((image.width // 2, image.height // 4))
    below = image.getpixel((image.width // 2, image.height * 3 // 4))
    return above[0] > 200 and above[2] < 60 and below[2] > 200 and below[0] < 60


@pytest.mark.parametrize("form", FORMATS)
async def test_an_honest_picture_is_kept_as_it_looks(intake, form: str) -> None:
    kept = await pixels(intake, encoded(form))
    assert (kept.mode, kept.size) == ("RGB", (40, 24))
    assert has_red_above(kept)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_picture_is_rotated_as_its_exif_orientation_says(intake, orientation) -> None:
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what Pillow calls the way back
    stored = painted()
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undone[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "JPEG", exif=exif, quality=95)
    kept = await pixels(intake, file.getvalue())
    assert kept.size == (40, 24)
    assert has_red_above(kept)


@pytest.mark.parametrize(
    ("form", "mode", "kept_as"),
    [
        ("JPEG", "CMYK", "RGB"),
        ("JPEG", "L", "RGB"),
        ("PNG", "L", "RGB"),
        ("PNG", "LA", "RGBA"),
        ("PNG", "RGBA", "RGBA"),
        ("PNG", "P", "RGB"),
        ("PNG", "1", "RGB"),
        ("WEBP", "RGBA", "RGB"),  # the file says that nothing shines through
    ],
)
async def test_every_kind_of_pixels_becomes_rgb_or_rgba(intake, form, mode, kept_as) -> None:
    kept = await pixels(intake, encoded(form, mode=mode))
    assert kept.mode == kept_as
    assert mode in ("L", "LA", "1") or has_red_above(kept)


async def test_sixteen_bits_of_grey_become_eight(intake) -> None:
    file = io.BytesIO()
    grey = Image.frombytes("I;16", (2, 1), (0x8000).to_bytes(2, "little") * 2)
    grey.save(file, "PNG")
    kept = await pixels(intake, file.getvalue())
    assert kept.getpixel((0, 0)) == (128, 128, 128)


async def test_sixteen_bits_of_colour_become_eight(intake) -> None:
    data = png(depth=16, colour=2, pixels=b"\0" + b"\x80\0" * 3)
    assert (await pixels(intake, data)).getpixel((0, 0)) == (128, 128, 128)


async def test_a_profile_is_followed_or_dropped_but_never_kept(intake) -> None:
    spaces = (ImageCms.ImageCmsProfile(ImageCms.createProfile(to)) for to in ("sRGB", "XYZ"))
    for profile in (*(space.tobytes() for space in spaces), b"no profile"):
        kept = await pixels(intake, encoded("PNG", icc_profile=profile))
        assert has_red_above(kept)


async def test_nothing_but_pixels_is_kept(intake) -> None:
    secret = b"52.5200 N 13.4050 E"
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    polyglot = encoded("JPEG", exif=exif, comment=b"<script>alert(1)</script>")
    picture = await intake.take(polyglot + b"PK\x03\x04 trailing " + secret)
    assert secret not in picture.png
    assert b"script" not in picture.png


RENAMED = {
    "gif": encoded("GIF"),
    "gif of three": animated("GIF"),
    "bmp": encoded("BMP"),
    "tiff": encoded("TIFF"),
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "fits": b"SIMPLE  =                    T" + bytes(2880),
    "psd": b"8BPS\0\1" + bytes(64),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "pdf": b"%PDF-1.7\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "pickle": b"\x80\x04\x95",
    "zip": b"PK\x03\x04" + bytes(64),
    "riff of sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(32),
    "nothing": b"",
    "apng": animated("PNG"),
    "animated webp": animated("WEBP"),
    "lossless jpeg": encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1),
    "arithmetic jpeg": encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1),
}


@pytest.mark.parametrize("kind", RENAMED)
async def test_what_is_no_still_png_jpeg_or_webp_is_unsupported(intake, kind: str) -> None:
    with pytest.raises(UnsupportedImage):
        await intake.take(RENAMED[kind])


@pytest.mark.parametrize(
    "data",
    [
        png(width=65_535, height=65_535),
        png(width=2**31 - 1, height=1),
        png(width=16_385, height=1),
        jpeg_claiming(30_000, 30_000),
        encoded("WEBP", size=(16_383, 2), lossless=True),
    ],
    ids=["png 65535²", "png 2³¹ wide", "png 16385 wide", "jpeg 30000²", "webp 16383 × 2"],
)
async def test_a_picture_that_says_it_is_too_large_is_never_decoded(
    data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageTooLarge):
        await Intake(max_pixels=30_000).take(data)


def bomb(kind: bytes, keyword: bytes) -> bytes:
    """A megabyte that grows to a gigabyte in a chunk outside the pixels."""
    raw = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = raw.compress(bytes(2**20)) + raw.flush(zlib.Z_FULL_FLUSH)  # needs no other before it
    adler = (2**30 % 65_521 << 16) + 1  # of so many zeros
    grown = b"\x78\xda" + 1024 * block + b"\x03\0" + adler.to_bytes(4)
    return png(before=chunk(kind, keyword + grown))


BROKEN = {
    "png cut short": encoded("PNG")[:-30],
    "jpeg cut short": encoded("JPEG")[:300],
    "webp cut short": encoded("WEBP")[:30],
    "png without pixels": png(pixels=b""),
    "png with a damaged header": png().replace(b"IHDR\0\0\0\1", b"IHDR\0\0\0\2"),
    "png of no size": png(width=0),
    "png of depth 3": png(depth=3),
    "png of chunks": b"\x89PNG\r\n\x1a\n" + png()[8:33] + chunk(b"tEXt", b"a\0") * 5_000,
    "png claiming more": png(width=4_000, height=4_000),
    "jpeg claiming more": jpeg_claiming(4_000, 4_000).replace(b"\xff\xda", b"\xff\xd9"),
    "jpeg of markers": b"\xff\xd8" + b"\xff\xe0\0\2" * 5_000,
    "jpeg of padding": b"\xff\xd8" + b"\xff" * 100_000,
    "jpeg behind padding": b"\xff\xd8" + b"\xff" * 100_000 + encoded("JPEG")[2:],
    "webp without frames": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(10),
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "text bomb": bomb(b"zTXt", b"a\0\0"),
    "international text bomb": bomb(b"iTXt", b"a\0\1\0\0\0"),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_damaged_picture_is_broken(intake, kind: str) -> None:
    with pytest.raises(BrokenImage):
        await intake.take(BROKEN[kind])


async def test_a_colour_profile_that_is_a_bomb_does_no_harm(intake) -> None:
    try:
        kept = await pixels(intake, bomb(b"iCCP", b"a\0\0"))
    except BrokenImage:
        return
    assert kept.size == (1, 1)


async def test_a_large_picture_is_hashed_in_a_thread(intake, monkeypatch) -> None:
    threads = []

    def hashed(data: bytes) -> object:
        threads.append(threading.current_thread())
        return sha256(data)

    monkeypatch.setattr(decode, "sha256", hashed)
    picture = await intake.take(encoded("PNG"))
    assert picture.sha256 == sha256(picture.png).hexdigest()
    assert threads
    assert threading.main_thread() not in threads


async def test_one_picture_too_many_at_once_gets_503(monkeypatch) -> None:
    monkeypatch.setattr(decode, "QUEUED", -decode.PROCESSES)
    with pytest.raises(Busy):
        await Intake(max_pixels=10_000).take(encoded("PNG"))


async def test_one_tenant_takes_half_of_the_places_for_decoding(intake, monkeypatch) -> None:
    monkeypatch.setattr(decode, "QUEUED", 2)
    begun = [asyncio.ensure_future(intake.take(encoded("PNG"), "greedy")) for _ in range(3)]
    other = asyncio.ensure_future(intake.take(encoded("PNG"), "other"))
    with pytest.raises(Busy):
        await begun[2]
    for picture in (*begun[:2], other):
        assert (await picture).width == 40


async def test_the_pixels_hash_is_that_of_equal_pixels_however_they_were_sent(intake) -> None:
    smooth, plain = encoded("PNG", compress_level=9), encoded("PNG", compress_level=0)
    assert smooth != plain
    expected = sha256(painted().tobytes()).hexdigest()
    for data in (smooth, plain, encoded("WEBP", lossless=True)):
        assert (await intake.take(data)).pixel_sha256 == expected
    clear = await intake.take(encoded("PNG", mode="RGBA"))
    assert clear.pixel_sha256 == sha256(painted(mode="RGBA").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("open('/etc/passwd')", "Too many open files"),
        ("__import__('socket').socket()", "Too many open files"),
        ("__import__('os').pipe()", "Too many open files"),
        ("bytearray(2 * 1024**3)", "MemoryError"),
        ("__import__('sys').stdout.buffer.write(bytes(2_000_000))", "File too large"),
    ],
)
def test_the_decoder_can_neither_open_nor_dial_nor_grow(tmp_path, deed: str, says: str) -> None:
    code = "import runpy, socket, sys; d = runpy.run_path(sys.argv[1]); d['sandbox'](1, 1_000_000);"
    with open(tmp_path / "out", "wb") as out:
        ended = subprocess.run(
            [sys.executable, "-I", "-c", code + deed, str(DECODER)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    assert ended.returncode != 0
    assert says in ended.stderr
    assert os.path.getsize(tmp_path / "out") <= 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere its CPU time is limited")
def test_the_decoder_ends_with_the_gateway() -> None:
    code = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-I', {str(DECODER)!r}, 'PNG', '1', '1000']\n"
        "print(subprocess.Popen(command).pid, flush=True); time.sleep(600)"
    )
    reading, writing = os.pipe()
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=reading, stdout=pipe) as gateway:
        assert gateway.stdout
        pid = int(gateway.stdout.readline())
        os.write(writing, bytes(1_000_000))  # more than a pipe holds: it reads
        os.kill(pid, signal.SIGSTOP)
        gateway.kill()
    assert ends(pid)
    os.close(reading)
    os.close(writing)


def test_the_decoder_is_killed_when_it_spins(tmp_path, monkeypatch) -> None:
    spinning = tmp_path / "decoder.py"
    program, _, _ = DECODER.read_text().partition('if __name__ == "__main__":')
    spinning.write_text(f"{program}\nCPU_S = 1\nsandbox(1, 1)\nwhile True: pass\n")
    monkeypatch.setattr(decode, "DECODER", spinning)
    with pytest.raises(BrokenImage):
        decode.decode(encoded("PNG"), read_header(encoded("PNG")))


def test_a_decoder_that_sleeps_is_not_waited_for(tmp_path, monkeypatch) -> None:
    sleeping = tmp_path / "decoder.py"
    sleeping.write_text("import signal; signal.pause()")
    monkeypatch.setattr(decode, "DECODER", sleeping)
    monkeypatch.setattr(decode, "DECODE_WITHIN_S", 0.5)
    with pytest.raises(BrokenImage, match="too long"):
        decode.decode(encoded("PNG"), read_header(encoded("PNG")))


def test_the_decoder_knows_nothing_of_us(tmp_path, monkeypatch) -> None:
    telling = tmp_path / "decoder.py"
    telling.write_text(
        "import os, sys; sys.stdout.write(32 * ' ' + f'{dict(os.environ)} {os.listdir()}')"
    )
    monkeypatch.setenv("LATENTRY_REDIS_URL", "redis://user:secret@host")
    monkeypatch.setattr(decode, "DECODER", telling)
    said, *_ = decode.decode(encoded("PNG"), read_header(encoded("PNG")))
    assert b"LATENTRY" not in said
    assert b"service" not in said


def test_the_program_itself_says_one_word(capfd) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", DECODER, "PNG", "100", "1000"], input=b"no", capture_output=True
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (decoder.BROKEN, b"", b"")


async def test_no_upload_waits_for_a_file_that_takes_long_to_examine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = threading.Event()

    def slow(*args: object) -> Examined:
        assert opened.wait(60)
        return Examined(Said())

    monkeypatch.setattr(decode, "examine", slow)
    made, picture = Intake(max_pixels=4096**2), encoded("PNG")
    try:
        waiting = [asyncio.create_task(made.examine(picture, "acme")) for _ in range(4)]
        await asyncio.sleep(0)
        assert (await made.take(picture, "other")).png
    finally:
        opened.set()
    await asyncio.gather(*waiting)
