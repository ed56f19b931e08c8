"""Large JSON bodies: read as small ones are, and never taken apart into many times their size."""

import json
from typing import Any, TypeVar

import pytest
from fastapi import Request

from latentry.contracts import GenerationRequest
from latentry.errors import BodyTooLarge, LatentryError, MalformedBody
from service.doors.automatic1111.requests.generations import Img2Img
from service.doors.openai.requests import EditRequest
from service.http import bodies

M = TypeVar("M", bound=Any)
BASE64 = "A" * bodies.LARGE_BYTES
IMAGE = f"data:image/png;base64,{BASE64}"


async def parsed(body: str, model: type[M] = GenerationRequest) -> M:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return await bodies.parse(Request(scope, receive), model)


@pytest.mark.parametrize("slash", ["/", "\\/"])
async def test_a_picture_is_read_whole(slash: str) -> None:
    body = json.dumps({"image": IMAGE + "/AA=", "mask": IMAGE, "seed": 7}).replace("/", slash)
    found = await parsed(body)
    assert (found.image, found.mask, found.seed) == (IMAGE + "/AA=", IMAGE, 7)


async def test_every_picture_that_a_request_may_have_is_one() -> None:
    most = {"images": [{"image_url": IMAGE}] * 16, "mask": {"image_url": IMAGE}, "prompt": "a"}
    found = await parsed(json.dumps(most), EditRequest)
    assert len(found.images) == 16


@pytest.mark.parametrize(
    "body",
    [
        f'{{"n": 1, "image": "{IMAGE}", "n": 2}}',
        f'{{"image": "{IMAGE}", "n": 1, "n": 2}}',
        f'{{"image": "{IMAGE}", "image": "{IMAGE}"}}',
        f'{{"prompt": ";base64,\\"", "image": "{IMAGE}", "n": 1, "n": 2}}',
    ],
)
async def test_a_duplicate_beside_a_picture_is_found(body: str) -> None:
    with pytest.raises((MalformedBody, BodyTooLarge)):
        await parsed(body)


@pytest.mark.parametrize(
    "body",
    [
        '{"original_size": [' + "0," * bodies.LARGE_BYTES + "0]}",
        '{"metadata": {' + '"":"",' * bodies.LARGE_BYTES + '"":""}}',
        '{"image": "' + 'x;base64,", "image": "' * bodies.LARGE_BYTES,
        '{"prompt": ";base64,\\" ' + "a" * bodies.LARGE_BYTES + '"}',
        "[" * 2 * bodies.LARGE_BYTES,
    ],
    ids=["numbers", "names", "many pictures", "no base64", "brackets"],
)
async def test_what_is_no_picture_is_not_parsed_at_that_size(body: str, monkeypatch) -> None:
    monkeypatch.setattr(bodies, "_parsed", lambda *_: pytest.fail("parsed"))
    with pytest.raises(BodyTooLarge):
        await parsed(body)


async def test_a_small_body_may_say_base64() -> None:
    prompt = 'a ;base64," prompt ;base64,'
    assert (await parsed(json.dumps({"prompt": prompt}))).prompt == prompt
    with pytest.raises(LatentryError):
        await parsed('{"prompt": ";base64,", "n": 1, "n": 2}')


LINES = "\r\n".join([BASE64[:76]] * (len(BASE64) // 50))


@pytest.mark.parametrize("text", [BASE64, BASE64 + "/AA=\n", LINES])
@pytest.mark.parametrize("slash", ["/", "\\/"])
async def test_bare_base64_is_a_picture_too(text: str, slash: str) -> None:
    body = json.dumps({"init_images": [text], "mask": text, "seed": 7}).replace("/", slash)
    found = await parsed(body, Img2Img)
    whole = "".join(text.split())
    assert found.mask == f"data:application/octet-stream;base64,{whole}"
    assert (found.init_images, found.seed) == ([found.mask], 7)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"mask": "{BASE64}", "seed": 1, "seed": 2}}',
        f'{{"mask": "{BASE64}", "mask": "{BASE64}"}}',
        f'{{"{BASE64}": [' + "0," * bodies.LARGE_BYTES + "0]}",
        f'{{"mask": "{BASE64}\\"' + ",1" * bodies.LARGE_BYTES + '"}',
        f'"{BASE64}"' * 3 + "[1]" * bodies.LARGE_BYTES,
    ],
    ids=["twice", "picture twice", "numbers", "escaped", "no JSON"],
)
async def test_beside_bare_base64_all_else_is_counted_and_told_apart(body: str) -> None:
    with pytest.raises((MalformedBody, BodyTooLarge)):
        await parsed(body, Img2Img)
