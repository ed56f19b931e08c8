"""What is fuzzed: each target takes any bytes, and raises only if something is wrong with us."""

import io
import json
import math
import warnings
from collections.abc import Callable, Iterator

from PIL import Image
from safetensors import SafetensorError, deserialize

from latentry.contracts import PromptSyntax
from latentry.errors import BrokenImage, InvalidRequest, MalformedBody, UnsupportedImage
from latentry.provenance.parameters import parse as parse_parameters
from latentry.rules.compositions import parts
from latentry.rules.prompt_schedules import texts_by_call
from latentry.rules.prompts import is_bounded, parse
from service.doors.openai.form import parsed as form_of_openai
from service.doors.openai.requests import EditRequest
from service.intake.header import read_header as read_picture
from service.intake.multipart import field
from tests.hostile.pictures import FORMATS, encoded
from worker.engine.models.safetensors_header import read_header as read_weights

BOUNDARY = "multipart/form-data; boundary=b"


def picture(data: bytes) -> None:
    """Whatever we accept has a size, and Pillow finds no other one."""
    try:
        header = read_picture(data)
    except (BrokenImage, UnsupportedImage):
        return
    assert header.width > 0
    assert header.height > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs = Image.open(io.BytesIO(data), formats=[header.format.value])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return  # broken in what the decoder's own process will find
    assert theirs.size == (header.width, header.height)


def prompt(data: bytes) -> None:
    """Every prompt means something, and says all that it says but brackets, weights, escapes."""
    text = data.decode(errors="replace")
    segments = parse(text, PromptSyntax.WEIGHTED)
    phrases = [phrase for segment in segments for phrase in segment]
    assert all(phrase.text for phrase in phrases)
    assert sum(len(phrase.text) for phrase in phrases) <= len(text)
    if is_bounded(text, PromptSyntax.WEIGHTED):
        assert all(math.isfinite(phrase.weight) for phrase in phrases)
    for one in parts(text, PromptSyntax.WEIGHTED):
        assert all(len(at_call) <= len(one.text) for at_call in texts_by_call(one.text, 3))


def weights(data: bytes) -> None:
    """Whatever we accept, the library reads the same tensors from, or refuses.

    Of what begins like JSON, the first line is the header: a search would not find its length.
    """
    if data.startswith(b"{"):
        head, _, rest = data.partition(b"\n")
        data = len(head).to_bytes(8, "little") + head + rest
    try:
        header = read_weights(io.BytesIO(data))
    except ValueError:
        return
    try:
        theirs = dict(deserialize(data))
    except SafetensorError:
        return  # stricter than we are; nothing was trusted yet
    assert {name: entry.shape for name, entry in header.tensors.items()} == {
        name: tuple(entries["shape"]) for name, entries in theirs.items()
    }


def form(data: bytes) -> None:
    """A part is found whole, or the body is malformed."""
    try:
        found = field(data, BOUNDARY, "file")
    except MalformedBody:
        return
    assert found in data
    assert b"\r\n--b" not in found


def edit(data: bytes) -> None:
    """OpenAI's form is a request with a picture, or is refused with the field's name."""
    try:
        found = form_of_openai(data, BOUNDARY, EditRequest)
    except InvalidRequest:
        return
    assert found.pictures["image"].startswith(("file_", "data:", "https://"))


def parameters(data: bytes) -> None:
    """Every text is some generation parameters, of no more text than it has."""
    text = data.decode(errors="replace")
    found = parse_parameters(text)
    assert len(found.prompt) + len(found.negative_prompt) <= len(text)
    assert all(name for name in found.settings)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "picture": picture,
    "prompt": prompt,
    "weights": weights,
    "form": form,
    "edit": edit,
    "parameters": parameters,
}


# What a search would take long to spell; libFuzzer's spelling.
WORDS: dict[str, tuple[str, ...]] = {
    "picture": ("IHDR", "IDAT", "acTL", "iCCP", "VP8 ", "VP8L", "VP8X", "WEBP", "\\xff\\xc0"),
    "prompt": ("BREAK", "AND", "(", ")", "[", "]", "|", ":1.1)", ":-.5)", ":.5]", "\\\\"),
    "weights": ("dtype", "shape", "data_offsets", "__metadata__", "F32", "[0,4]", "{}", "BF16"),
    "form": ("\\x0d\\x0a--b", "--b--", "Content-Disposition:", 'name=\\"file\\"'),
    "parameters": ("Negative prompt:", "Steps: 20,", "Size: 8x8", '\\"', ", "),
    "edit": ("\\x0d\\x0a--b", 'name=\\"image\\"', "prompt", "loras[][id]", "hires[scale]"),
}


def seeds(target: str) -> Iterator[bytes]:
    """Where a search begins."""
    match target:
        case "picture":
            yield from (encoded(form, size=(3, 2)) for form in FORMATS)
            yield encoded("JPEG", size=(3, 2), progressive=True)
            yield encoded("WEBP", size=(3, 2), lossless=True)
            yield encoded("WEBP", size=(3, 2), exif=Image.Exif())
        case "prompt":
            yield from (b"a ((frog:1.2)) [on] a (lily:0.5) BREAK \\(pad\\)", b"((a:1)[b", b"(a:.5)")
            yield from (b"[a:(b:1.2):.5] AND [c|d]:2", b"[[a:b:3]|c] [:d: 2 ]")
        case "weights":
            whole = tensors({"a": [2], "b": [1, 3]})
            yield from (b"\x02\0\0\0\0\0\0\0{}", whole, whole[8:-20] + b"\n" + whole[-20:])
        case "edit":
            parts = (("prompt", "a"), ("image", "file_1"), ("n", "2"), ("loras[][id]", "a"))
            head = "--b\r\nContent-Disposition: form-data; name="
            each = [f'{head}"{name}"\r\n\r\n{text}\r\n' for name, text in parts]
            yield f"{''.join(each)}--b--".encode()
            yield f"{''.join([*each, each[1], each[3]])}--b--".encode()
        case "parameters":
            yield b'a\nNegative prompt: b\nSteps: 2, Size: 8x8, Lora hashes: "a: 1, b: 2", Seed: 1'
        case "form":
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
            yield from (head + b"bytes\r\n--b--\r\n", head + b"\r\n--b\r\n\r\n\r\n--b--")


def tensors(shapes: dict[str, list[int]]) -> bytes:
    """A small safetensors file."""
    entries, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + bytes(at)
