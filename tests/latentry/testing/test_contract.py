"""The fake answers as the API document says, and both clients reach every operation by it."""

import inspect
import json
import re

import httpx
import jsonschema_rs
import pytest

from latentry import AsyncClient, Client
from latentry.errors import LatentryError
from latentry.testing import FakeService
from latentry.testing.answers import STATUS, NotFaked
from latentry.testing.query import JobQuery
from latentry.testing.routes import ANSWERS
from service.doors.native.pages.query import JobQuery as GatewayQuery
from service.http.failures import STATUS as GATEWAY_STATUS
from service.http.problems import FRAMEWORK
from tools.pages.native_api import operations

PICTURE = b"\x89PNG\r\n\x1a\n"
FRAME = {"prompt": "a red circle"}
# The operations that no method of the clients calls, each with its reason.
NOT_IN_CLIENTS = {"livez": "for orchestrators; `ready` says more"}


def everything(client):
    """Calls of a client which together use all of it, as functions of what came before."""
    yield "generate", ("a red circle",), {"n": 2, "webhook": "https://shop.example/hook"}
    yield "submit", ("a red circle",), {"metadata": {"user": "ada"}}
    yield "estimate", ("a red circle",), {}
    yield "map", (["a frog", "a star"],), {}
    yield "submit_all", (["a frog", "a star"],), {}
    yield "interpolate", (FRAME, FRAME, 3), {}
    yield "submit_interpolation", (FRAME, FRAME, 3), {}
    yield "estimate_interpolation", (FRAME, FRAME, 3), {}
    yield "clip", ("a walking frog",), {"output": "gif", "frames": 2}
    yield "submit_clip", ("a walking frog",), {"output": "frames"}
    yield "estimate_clip", ("a walking frog",), {}
    yield "files", (), {}
    yield "upscale", (PICTURE,), {}
    yield "submit_upscale", (PICTURE,), {}
    yield "estimate_upscale", (PICTURE,), {}
    yield "control", (PICTURE,), {"width": 32}
    yield "submit_control", (PICTURE,), {"preprocess": "invert"}
    yield "estimate_control", (PICTURE,), {}
    yield "caption", (PICTURE,), {"max_tokens": 5}
    yield "submit_caption", (PICTURE,), {}
    yield "estimate_caption", (PICTURE,), {}
    yield "upload", (PICTURE,), {}
    for name in ("ready", "capabilities", "models", "adapters", "styles", "upscalers", "usage"):
        yield name, (), {}
    yield "model", ("stable-diffusion",), {}
    yield "list", (), {"count": True, "metadata": {"user": "ada"}}
    yield "list_all", (), {}
    yield "verify", (PICTURE,), {}
    yield "stream", ("a red circle",), {}


def of_a_job(job, delivery, file):
    """Calls about one job and one file."""
    for name in ("get", "wait", "events", "deliveries", "cancel", "save"):
        yield name, (job,), {}
    yield "as_completed", ([job],), {}
    yield "wait_all", ([job],), {}
    yield "redeliver", (job, delivery), {}
    yield "download", (job.images[0],), {}
    yield "pil", (job.images[0],), {}
    yield "file", (file,), {}
    yield "download", (file,), {}
    yield "delete_file", (file,), {}
    yield "delete", (job,), {}


async def called(client, name, args, fields):
    result = getattr(client, name)(*args, **fields)
    if inspect.isasyncgen(result):
        return [one async for one in result]
    if inspect.isawaitable(result):
        return await result
    return list(result) if inspect.isgenerator(result) else result


class Responses:
    """What a fake answered, by operation."""

    def __init__(self, fake):
        self.fake, self.seen = fake, []
        answer = fake._answer
        fake._answer = lambda request: self._noted(answer(request))

    def _noted(self, response):
        self.seen.append((self.fake.calls[-1].operation, response))
        return response


async def used_wholly(client):
    names = set()
    calls = list(everything(client))
    for name, args, fields in calls:
        names.add(name)
        await called(client, name, args, fields)
    job = (await called(client, "list", (), {"limit": 100})).data[-1]
    [delivery] = await called(client, "deliveries", (job,), {})
    file = await called(client, "upload", (PICTURE,), {})
    for name, args, fields in of_a_job(job, delivery.id, file):
        names.add(name)
        await called(client, name, args, fields)
    return names


@pytest.fixture(params=["client", "async_client"])
async def whole(request, fake, tmp_path, monkeypatch):
    """All that a client can do was done: the fake, its answers, and the methods' names."""
    monkeypatch.chdir(tmp_path)
    responses = Responses(fake)
    client = getattr(fake, request.param)()
    return fake, responses.seen, await used_wholly(client)


async def test_every_operation_of_the_native_door_has_a_method_in_both_clients(whole, native):
    fake, _, names = whole
    reached = {call.operation for call in fake.calls}
    assert operations(native).keys() - reached == NOT_IN_CLIENTS.keys()
    methods = {
        name
        for kind in (Client, AsyncClient)
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods - {"close", "aclose"} == names, "a method that this test does not try"


async def test_every_answer_of_the_fake_is_one_of_the_document(whole, native):
    _, seen, _ = whole
    for operation, response in seen:
        check(native, operation, response)


def check(native, operation, response):
    """That a response is what the document says of its operation and its status."""
    method, path = operations(native)[operation]
    known = native["paths"][path][method.lower()]["responses"]
    status = response.status_code
    described = known[str(status)]
    if "$ref" in described:
        described = native["components"]["responses"][described["$ref"].rpartition("/")[2]]
    media = described.get("content", {})
    kind = response.headers.get("Content-Type")
    assert (kind is None) == (not media), f"{operation}: {kind}"
    if kind == "text/event-stream":
        events = re.findall(r"^data: (.*)$", response.text, re.MULTILINE)
        assert events
        for event in events:
            validate(native, {"$ref": "#/components/schemas/Event"}, event)
    elif kind is not None and "json" in kind:
        validate(native, media[kind]["schema"], response.text)
    elif kind is not None:
        assert kind in media, operation


def validate(native, schema, text):
    document = {**schema, "components": native["components"]}
    validator = jsonschema_rs.Draft202012Validator(document, validate_formats=True)
    errors = [error.message for error in validator.iter_errors(json.loads(text))]
    assert errors == [], text[:300]


def test_the_fake_answers_every_native_operation(native):
    fake = {name: (method, path) for name, (method, path, _) in ANSWERS.items()}
    assert fake == operations(native)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/v1/generations", b"{", "malformed_body"),
        ("POST", "/v1/generations", b'{"prompt": "a", "steps": 3}', "invalid_request"),
        ("POST", "/v1/generations", b'{"prompt": "a", "model": "x"}', "unknown_model"),
        ("POST", "/v1/generations", b'{"image": "file_x"}', "file_gone"),
        ("POST", "/v1/files", b"GIF89a", "unsupported_media_type"),
        ("POST", "/v1/files", b"\0\0", "unsupported_image"),
        ("GET", "/v1/generations?limit=ten", b"", "invalid_request"),
        ("GET", "/v1/generations?limit=101", b"", "invalid_request"),
        ("GET", "/v1/generations?status=done", b"", "invalid_request"),
        ("GET", "/v1/generations?since=lately", b"", "invalid_request"),
        ("GET", "/v1/generations?metadata=user", b"", "invalid_request"),
        ("GET", "/v1/generations?user=ada", b"", "invalid_request"),
        ("GET", "/v1/generations?cursor=x", b"", "invalid_request"),
        ("GET", "/v1/generations/gen_0", b"", "job_not_found"),
        ("GET", "/v1/models/none", b"", "unknown_model"),
        ("GET", "/v1/files/file_0", b"", "file_not_found"),
        ("GET", "/v1/files/fake/gen_0/0.png", b"", "link_refused"),
    ],
)
def test_what_the_service_refuses_the_fake_refuses_too(fake, native, method, path, body, code):
    kinds = {b"GIF": "image/gif", b"\0\0": "application/octet-stream"}
    kind = kinds.get(body[:3], "application/json")
    request = httpx.Request(method, fake.url + path, content=body, headers={"Content-Type": kind})
    response = fake.transport.handle_request(request)
    assert response.json()["code"] == code
    check(native, fake.calls[0].operation, response)


def test_headers_that_the_service_refuses_the_fake_refuses_too(fake, native):
    for headers, code in (
        ({"Content-Type": "text/plain"}, "unsupported_media_type"),
        ({"Content-Type": "application/json", "Idempotency-Key": ""}, "invalid_idempotency_key"),
    ):
        request = httpx.Request(
            "POST", fake.url + "/v1/generations", content=b'{"prompt": "a"}', headers=headers
        )
        response = fake.transport.handle_request(request)
        assert response.json()["code"] == code
        check(native, "create_generation", response)


def test_every_media_type_that_the_document_lists_is_read(fake, native):
    """A picture as a form, by browsers and curl -F, has any bytes, and may have other parts."""
    picture = PICTURE + b"\r\n--\r\n\0\xff\n"
    form = {"note": ("", b"hello"), "file": ("photo.png", picture, "image/png")}
    fields = {
        "create_generations": {"requests": [FRAME]},
        "create_interpolation": {"from": FRAME, "to": FRAME, "frames": 3},
        **{
            operation: {"image": "https://shop.example/a.png"}
            for operation in ("create_upscale", "create_control", "create_caption", "verify")
        },
    }
    tried = 0
    for operation, (method, path) in operations(native).items():
        body = native["paths"][path][method.lower()].get("requestBody", {"content": {}})
        for kind in body["content"]:
            sent = {"content": picture, "headers": {"Content-Type": kind}}
            if kind == "application/json":
                sent["content"] = json.dumps(fields.get(operation, FRAME))
            elif kind == "multipart/form-data":
                sent = {"files": form}
            request = httpx.Request(method, fake.url + path, **sent)
            request.read()
            response = fake.transport.handle_request(request)
            assert response.is_success, (operation, kind, response.text)
            check(native, operation, response)
            tried += 1
            if (operation, kind) == ("create_file", "multipart/form-data"):
                file = fake.client().file(response.json()["id"])
                assert fake.client().download(file) == picture
    assert tried > 10


def test_a_form_without_a_picture_is_refused(fake, native):
    for body in ({"files": {"image": ("a.png", PICTURE)}}, {"content": b"--x--"}):
        request = httpx.Request("POST", f"{fake.url}/v1/files", **body)
        if "content" in body:
            request.headers["Content-Type"] = "multipart/form-data; boundary=x"
        request.read()
        response = fake.transport.handle_request(request)
        assert (response.status_code, response.json()["code"]) == (400, "malformed_body")
        check(native, "create_file", response)


def test_a_method_that_a_path_does_not_support_is_refused_as_the_service_does(fake, native):
    """With what the document lists for the path in `Allow`; HEAD is wherever GET is."""
    known = {}
    for method, path in operations(native).values():
        known.setdefault(path, set()).update({"GET", "HEAD"} if method == "GET" else {method})
    for path, methods in known.items():
        # A key of storage has slashes, or it is the id of a file.
        concrete = re.sub(r"\{\w+\}", "a", path.replace("{key}", "a/b/c"))
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - methods:
            request = httpx.Request(method, fake.url + concrete)
            response = fake.transport.handle_request(request)
            assert response.status_code == 405, (method, path)
            assert set(response.headers["Allow"].split(", ")) == methods
            if method != "HEAD":
                said = response.json()
                assert (said["code"], said["detail"]) == FRAMEWORK[405]
    gone = fake.transport.handle_request(httpx.Request("PUT", f"{fake.url}/v1/none"))
    assert gone.status_code == 404


def test_head_is_get_without_a_body(fake):
    answers = [
        fake.transport.handle_request(httpx.Request(method, f"{fake.url}/v1/models"))
        for method in ("GET", "HEAD")
    ]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].headers["Content-Length"] == answers[1].headers["Content-Length"]
    assert (answers[1].content, [call.operation for call in fake.calls]) == (
        b"",
        ["list_models", "list_models"],
    )


def test_the_query_of_jobs_is_the_gateway_s():
    def of(model):
        fields = model.model_json_schema()["properties"]
        return {
            name: {key: value for key, value in field.items() if key != "description"}
            for name, field in fields.items()
        }

    assert of(JobQuery) == of(GatewayQuery)


def test_a_time_without_a_zone_is_utc(fake):
    with fake.client() as client:
        client.generate("a frog")
        for path, count in (("since=2020-01-01T00:00:00", 1), ("until=2020-01-01T00:00:00", 0)):
            assert len(client._http.get(f"/v1/generations?{path}").json()["data"]) == count


def test_statuses_are_the_gateway_s():
    ours = {kind: status for kind, status in STATUS.items() if kind is not NotFaked}
    assert {kind: GATEWAY_STATUS[kind] for kind in ours} == ours
    assert all(issubclass(kind, LatentryError) for kind in ours)


def test_what_has_no_route_is_not_found():
    with FakeService().client() as client:
        response = client._http.get("/v2/generations")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
