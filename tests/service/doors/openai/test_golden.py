"""What OpenAI's client sends is what it sent when it was written down, and is understood."""

import base64
import re
import warnings

import httpx2
import openai
import pytest

from service.doors.openai import form
from service.doors.openai.requests import EditRequest, VariationRequest
from tests.hostile.pictures import encoded
from tests.service.doors.openai.golden import CALLS, PICTURE
from tests.service.fake import PICTURE as DRAWN
from tests.service.fake import FakeWorker

PHOTO = encoded("PNG", size=(128, 128), mode="RGBA")


@pytest.mark.parametrize("name", CALLS)
def test_the_client_sends_what_is_kept_here(name: str) -> None:
    sent: list[httpx2.Request] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        request.read()
        sent.append(request)
        return httpx2.Response(200, json={"created": 1, "data": []})

    call = CALLS[name]
    http = httpx2.Client(transport=httpx2.MockTransport(keep))
    sdk = openai.OpenAI(base_url="http://gateway/v1", api_key="k", http_client=http)
    with sdk, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        call.make(sdk, PICTURE.encode())
    [request] = sent
    boundary = re.compile(r"\b[0-9a-f]{32}\b")
    assert request.url.path == call.path
    assert boundary.sub("b", request.headers["content-type"]) == call.content_type
    assert boundary.sub("b", request.content.decode()) == call.body


def raw(name: str) -> dict:
    """The call's body with a picture, and its header."""
    call = CALLS[name]
    body = call.body.encode().replace(PICTURE.encode(), PHOTO)
    return {"content": body, "headers": {"Content-Type": call.content_type}}


async def test_a_generation_s_answer_is_openai_s_to_the_letter(client, worker: FakeWorker) -> None:
    with worker:
        answer = await client.post(CALLS["generate"].path, **raw("generate"))
    picture = base64.b64encode(DRAWN).decode()
    text = re.sub(r'"created":\d+', '"created":1', answer.text)
    assert text == (
        f'{{"created":1,"data":[{{"b64_json":"{picture}","seed":7}},'
        f'{{"b64_json":"{picture}","seed":8}}],"output_format":"webp","size":"192x192",'
        '"quality":"high","background":"opaque","usage":{"input_tokens":0,"input_tokens_details":'
        '{"text_tokens":0,"image_tokens":0},"output_tokens":2802,"total_tokens":2802},'
        '"safety_identifier":"u1"}'
    )
    assert answer.headers["content-type"] == "application/json"
    assert "X-Ignored-Fields" not in answer.headers
    assert answer.headers["x-request-id"]


async def test_a_stream_is_openai_s_to_the_letter(client, worker: FakeWorker) -> None:
    name = "generate, stream"
    with worker:
        answer = await client.post(CALLS[name].path, **raw(name))
    picture = base64.b64encode(DRAWN).decode()
    text = re.sub(r'"(created_at|seed)":\d+', r'"\1":1', answer.text)
    assert text == (
        ": queued, 0 before it\n\n: running\n\n"
        "event: image_generation.completed\n"
        f'data: {{"type":"image_generation.completed","b64_json":"{picture}","created_at":1,'
        '"size":"128x128","quality":"medium","background":"opaque","output_format":"png",'
        '"usage":{"input_tokens":0,"input_tokens_details":{"text_tokens":0,"image_tokens":0},'
        '"output_tokens":410,"total_tokens":410},"seed":1}\n\n'
    )


def test_a_form_is_the_same_request_as_its_json() -> None:
    content = raw("edit, everything")["content"]
    found = form.parsed(content, "multipart/form-data; boundary=b", EditRequest)
    picture = f"data:application/octet-stream;base64,{base64.b64encode(PHOTO).decode()}"
    assert found == EditRequest.model_validate(
        {
            "prompt": "a hat",
            "n": 2,
            "stream": True,
            "metadata": {"a": "1"},
            "original_size": [64, 96],
            "loras": [{"id": "ink", "weight": 0.5}, {"id": "pen", "weight": 1}],
            "seed": 7,
            "image": [{"image_url": picture}],
            "mask": {"image_url": picture},
        }
    )


@pytest.mark.parametrize("name", ["edit", "variation"])
async def test_a_form_of_the_client_s_makes_an_image(client, worker, made, name: str) -> None:
    with worker:
        answer = await client.post(CALLS[name].path, **raw(name))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 1
    assert made().image.width == 128


def test_a_browser_s_order_of_parts_means_the_same() -> None:
    parts = [
        ("loras[][id]", "ink"),
        ("loras[][weight]", "0.5"),
        ("loras[][id]", "pen"),
        ("loras[][weight]", "1"),
        ("image", "file_1"),
    ]
    text = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts
    )
    found = form.parsed(
        f"{text}--b--".encode(), "multipart/form-data; boundary=b", VariationRequest
    )
    assert [(one.id, one.weight) for one in found.loras or ()] == [("ink", 0.5), ("pen", 1.0)]
