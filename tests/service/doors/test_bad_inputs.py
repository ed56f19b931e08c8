"""Whatever is sent, the answer is a problem with the right code, and never a 5xx."""

import json

import httpx
import pytest

from tests.service.fake import FakeWorker

JSON = {"Content-Type": "application/json"}
OK = {"prompt": "a red circle"}


async def refused(
    client, status: int, code: str, *, path: str = "/v1/generations", **kwargs: object
) -> dict:
    answer = await client.post(path, **kwargs)
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    return answer.json()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"prompt": "a"',
        b'{"prompt": "\xff"}',
        b'{"prompt": "\\ud800"}',
        b'\xef\xbb\xbf{"prompt": "a"}',
        b'{"prompt": "a", "prompt": "b"}',
        b'{"prompt": "a", "metadata": {"a": "1", "a": "2"}}',
        b"[" * 20_000,
        b'{"a":' * 10_000,
        b'{"prompt": "a"} trailing',
        b"{'prompt': 'a'}",
    ],
)
async def test_what_is_not_json_is_malformed(client, worker: FakeWorker, body: bytes) -> None:
    await refused(client, 400, "malformed_body", content=body, headers=JSON)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", 5),
        ("prompt", "a" * 8_001),
        ("prompt", "nul \x00"),
        ("negative_prompt", ["a"]),
        ("width", 0),
        ("width", -64),
        ("width", 100),
        ("width", 10**9),
        ("width", True),
        ("width", "512"),
        ("width", 512.5),
        ("height", 10**400),
        ("num_inference_steps", -1),
        ("num_inference_steps", 10**6),
        ("guidance_scale", -1),
        ("guidance_scale", "7"),
        ("guidance_scale", 51),
        ("sampler", "magic"),
        ("sampler", {}),
        ("seed", -1),
        ("seed", 2**64),
        ("seed", 2**53),
        ("n", 0),
        ("n", 11),
        ("output_format", "gif"),
        ("determinism", "maybe"),
        ("metadata", {"k": 1}),
        ("metadata", {"k" * 65: "v"}),
        ("metadata", {"k": "v" * 513}),
        ("metadata", {str(i): "" for i in range(17)}),
        ("metadata", []),
        ("model", "../etc/passwd"),
        ("model", "Shapes"),
        ("model", ""),
    ],
)
async def test_a_wrong_value_is_refused_with_its_pointer(client, worker, field, value) -> None:
    problem = await refused(client, 422, "invalid_request", json=OK | {field: value})
    assert problem["errors"][0]["pointer"].startswith(f"/{field}")


async def test_the_sentence_names_every_field_that_is_wrong_as_callers_write_it(client, worker):
    wrong = {"n": 99, "seed": -1, "hires": {"scale": 9}, "steps": 5}
    problem = await refused(client, 422, "invalid_request", json=OK | wrong)
    whole = problem["detail"]
    assert whole.startswith("seed: ")
    for name in ("n: ", "hires.scale: ", "steps: Unknown field; did you mean num_inference_steps?"):
        assert f"; {name}" in whole
    assert "/" not in whole
    many = await refused(client, 422, "invalid_request", json=OK | {f"x{k}": k for k in range(20)})
    assert many["detail"].endswith("; 4 more errors.")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
async def test_numbers_that_are_not_finite_are_refused(client, worker, number: str) -> None:
    body = f'{{"prompt": "a", "guidance_scale": {number}}}'.encode()
    await refused(client, 422, "invalid_request", content=body, headers=JSON)


@pytest.mark.parametrize("body", [b"[]", b'"prompt"', b"null", b"7", b"{}"])
async def test_what_is_not_a_request_is_refused(client, worker, body: bytes) -> None:
    await refused(client, 422, "invalid_request", content=body, headers=JSON)


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("widht", "width"),
        ("steps", "num_inference_steps"),
        ("cfg_scale", "guidance_scale"),
        ("zzzzzz", None),
    ],
)
async def test_an_unknown_field_is_refused_with_what_was_meant(client, worker, unknown, meant):
    problem = await refused(client, 422, "invalid_request", json=OK | {unknown: 1})
    [error] = problem["errors"]
    assert error["pointer"] == f"/{unknown}"
    assert (f"did you mean {meant}?" in error["detail"]) == bool(meant)
    assert problem["detail"].endswith("?" if meant else "field.")


@pytest.mark.parametrize(
    ("within", "unknown", "meant"),
    [
        ("to", "steps", "num_inference_steps"),
        ("via/0", "sede", "seed"),
        ("to/hires", "step", "steps"),
        ("to", "frame", None),  # a field of the body, but not of a picture
        ("", "form", "from"),
    ],
)
async def test_what_was_meant_is_a_field_of_the_same_object(
    client, worker, within, unknown, meant
) -> None:
    body = {"from": OK.copy(), "to": OK | {"hires": {"scale": 2}}, "via": [OK.copy()], "frames": 3}
    into = body
    for part in filter(None, within.split("/")):
        into = into[int(part) if part.isdigit() else part]
    into[unknown] = 1
    problem = await refused(client, 422, "invalid_request", path="/v1/interpolations", json=body)
    [error] = [one for one in problem["errors"] if unknown in one["pointer"]]
    assert error["pointer"] == f"/{within}/{unknown}".replace("//", "/")
    assert error["detail"].partition("did you mean ")[2].rstrip("?") == (meant or "")


async def test_a_thousand_unknown_fields_make_a_short_answer(client, worker) -> None:
    body = {"x" * 40 + str(i): 1 for i in range(1_000)}
    problem = await refused(client, 422, "invalid_request", json=body)
    assert len(problem["errors"]) <= 16


async def test_a_prompt_is_never_in_an_answer_that_refuses_it(client, worker) -> None:
    secret = "the quick brown frog"
    answer = await client.post("/v1/generations", json={"prompt": secret * 1000})
    assert secret not in answer.text


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"width": 512}, "unsupported_size", "96 to 192"),
        ({"height": 104}, "unsupported_size", "multiples of 32"),
        ({"sampler": "lcm"}, "unsupported_sampler", "ddim, euler"),
        ({"sampler": "ddim", "spacing": "karras"}, "unsupported_spacing", "default, sgm_uniform"),
        ({"num_inference_steps": 101}, "too_many_steps", "100"),
        ({"prompt": "(a frog:11)"}, "invalid_prompt", "prompt_syntax"),
        ({"negative_prompt": "(" * 25 + "blur"}, "invalid_prompt", "above 10"),
        ({"styles": ["nihgt"]}, "unknown_style", "no style “nihgt”; did you mean “night”?"),
        ({"prompt": "{a", "prompt_syntax": "dynamic"}, "invalid_prompt", "never closed"),
        ({"prompt": "__a__", "prompt_syntax": "dynamic"}, "invalid_prompt", "no wildcard __a__"),
        ({"output_quality": 90}, "unsupported_field", "A lossless png has no quality"),
        (
            {"output_format": "webp", "output_lossless": True, "output_quality": 90},
            "unsupported_field",
            "A lossless webp has no quality",
        ),
        (
            {"output_format": "jpeg", "output_lossless": True},
            "unsupported_field",
            "JPEG is never lossless",
        ),
        ({"clip_skip": 3}, "clip_skip_too_large", "at most 2"),
        ({"original_size": [512, 512]}, "unsupported_field", "SDXL"),
        ({"preview_interval": 5}, "unsupported_field", "previews"),
        ({"seed": 2**53 - 1, "n": 2}, "invalid_request", "at most"),
    ],
)
async def test_what_the_model_cannot_do_is_refused_naming_what_it_can(
    client, worker, fields, code, named
) -> None:
    problem = await refused(client, 422, code, json=OK | fields)
    assert named in problem["detail"]
    assert problem["errors"]


async def test_an_unknown_model_is_not_found(client, worker) -> None:
    await refused(client, 404, "unknown_model", json=OK | {"model": "dreams"})


async def test_without_any_model_the_service_is_not_ready_for_requests(client) -> None:
    answer = await client.post("/v1/generations", json=OK)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_model")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
async def test_only_plain_json_is_read(client, worker, headers: dict[str, str]) -> None:
    await refused(
        client, 415, "unsupported_media_type", content=b'{"prompt": "a"}', headers=headers
    )


@pytest.mark.parametrize(
    "type", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"']
)
async def test_json_may_say_that_it_is_utf8(client, worker, type: str) -> None:
    answer = await client.post(
        "/v1/generations", content='{"prompt": "☃ 雪"}'.encode(), headers={"Content-Type": type}
    )
    assert answer.status_code == 202
    assert answer.json()["request"]["prompt"] == "☃ 雪"


async def test_a_full_queue_is_our_fault_and_says_when_to_return(settings, worker) -> None:
    from service.app import create_app

    app = create_app(settings.model_copy(update={"max_queued": 1}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        await client.post("/v1/generations", json=OK)
        answer = await client.post("/v1/generations", json=OK)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/models", "/livez", "/nowhere"])
async def test_a_body_over_the_limit_is_refused_on_every_route(client, path: str) -> None:
    size = 26 * 2**20 if path == "/v1/generations" else 70_000
    answer = await client.post(path, content=b"x" * size, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_real_client_that_sends_too_much_can_read_our_answer(url: str, is_chunked: bool) -> None:
    body = json.dumps({"prompt": "a " * 950_000}).encode()
    sent = (body[i : i + 9_000] for i in range(0, len(body), 9_000)) if is_chunked else body
    with httpx.Client(base_url=url) as client:
        for _ in range(2):  # the connection is still good
            answer = client.post("/v1/images/generations", content=sent, headers=JSON)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
            sent = body


def test_a_client_that_would_send_for_ever_is_cut_off(url: str) -> None:
    sent = 0

    def endless():
        nonlocal sent
        while sent < 200 * 2**20:
            sent += 65_536
            yield b"x" * 65_536

    with httpx.Client(base_url=url) as client:
        try:
            status = client.post("/v1/generations", content=endless(), headers=JSON).status_code
        except httpx.TransportError:
            status = 413  # hung up on while it was still sending
    assert status == 413
    assert sent < 100 * 2**20


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/generations/", 404, "not_found"),
        ("PUT", "/v1/generations", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models/dreams", 404, "unknown_model"),
    ],
)
async def test_the_frameworks_own_errors_are_problems_too(client, method, path, status, code):
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/generations", "GET, HEAD, POST"),
        ("/v1/generations/gen_1", "GET, HEAD, DELETE"),
        ("/v1/files/a/b/c", "GET, HEAD"),
        ("/v1/images/generations", "POST"),
    ],
)
async def test_a_refused_method_gets_all_that_are_allowed(client, path, allowed) -> None:
    answer = await client.patch(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_sane_request_id_is_echoed_and_another_replaced(client) -> None:
    kept = await client.get("/livez", headers={"X-Request-ID": "abc-123"})
    replaced = await client.get("/livez", headers={"X-Request-ID": "a b\t"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert replaced.headers["x-request-id"].startswith("req_")
