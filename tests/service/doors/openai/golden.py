"""The very bodies that OpenAI's Python client 3.57 sends, with `b` as the boundary of forms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

PICTURE: Final = "PICTURE"  # in place of a picture's bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the client, and what it sends."""

    make: Callable[[Any, bytes], Any]
    path: str
    content_type: str
    body: str


def _form(*parts: tuple[str, str]) -> str:
    """Parts by what stands behind `form-data; ` in their first line."""
    texts = [
        f"--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in parts
    ]
    return "".join(texts) + "--b--\r\n"


_FORM: Final = "multipart/form-data; boundary=b"
_JSON: Final = "application/json"
_UPLOAD: Final = 'filename="upload"\r\nContent-Type: application/octet-stream'

CALLS: Final[dict[str, Call]] = {
    "generate": Call(
        lambda sdk, _: sdk.images.generate(
            prompt="a hat", model="gpt-image-2", n=2, size="1024x1024", quality="high",
            output_format="webp", output_compression=80, background="auto", moderation="low",
            user="u1", extra_body={"seed": 7, "guidance_scale": 2},
        ),
        "/v1/images/generations",
        _JSON,
        '{"model":"gpt-image-2","prompt":"a hat","background":"auto","moderation":"low","n":2,'
        '"output_compression":80,"output_format":"webp","quality":"high","size":"1024x1024",'
        '"user":"u1","seed":7,"guidance_scale":2}',
    ),
    "generate, stream": Call(
        lambda sdk, _: sdk.images.generate(prompt="a hat", stream=True, partial_images=0),
        "/v1/images/generations",
        _JSON,
        '{"stream":true,"prompt":"a hat","partial_images":0}',
    ),
    "edit": Call(
        lambda sdk, picture: sdk.images.edit(image=picture, prompt="a hat"),
        "/v1/images/edits",
        _FORM,
        _form(('name="prompt"', "a hat"), (f'name="image"; {_UPLOAD}', PICTURE)),
    ),
    "edit, everything": Call(
        lambda sdk, picture: sdk.images.edit(
            image=[picture], mask=picture, prompt="a hat", n=2, stream=True,
            extra_body={
                "metadata": {"a": "1"},
                "original_size": [64, 96],
                "loras": [{"id": "ink", "weight": 0.5}, {"id": "pen", "weight": 1}],
                "seed": 7,
            },
        ),
        "/v1/images/edits",
        _FORM,
        _form(
            ('name="prompt"', "a hat"),
            ('name="n"', "2"),
            ('name="stream"', "true"),
            ('name="metadata[a]"', "1"),
            ('name="original_size[]"', "64"),
            ('name="original_size[]"', "96"),
            ('name="loras[][id]"', "ink"),
            ('name="loras[][id]"', "pen"),
            ('name="loras[][weight]"', "0.5"),
            ('name="loras[][weight]"', "1"),
            ('name="seed"', "7"),
            (f'name="image[]"; {_UPLOAD}', PICTURE),
            (f'name="mask"; {_UPLOAD}', PICTURE),
        ),
    ),
    "variation": Call(
        lambda sdk, picture: sdk.images.create_variation(
            image=("a.png", picture), n=1, response_format="b64_json", size="512x512"
        ),
        "/v1/images/variations",
        _FORM,
        _form(
            ('name="n"', "1"),
            ('name="response_format"', "b64_json"),
            ('name="size"', "512x512"),
            ('name="image"; filename="a.png"\r\nContent-Type: image/png', PICTURE),
        ),
    ),
}  # fmt: skip
