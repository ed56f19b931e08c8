"""Words that look like something else: in prompts they are text, in names they are refused."""

import pytest

from tests.hostile.pictures import encoded
from tests.service.fake import FakeWorker


@pytest.mark.parametrize(
    "prompt",
    [
        "a \u202efrog\u202c",  # direction turned round
        "a\u200bfrog\u200d\ufeff",  # nothing to be seen
        "<|endoftext|> <|startoftext|>",
        "a\x07\x1b[31mfrog\x7f",
        "ﬀ ｆｒｏｇ ①",
        "{{7*7}} ${jndi:ldap://x} %s %n '; DROP TABLE jobs; --",
        "<script>alert(1)</script>",
        "😀" * 100,
        "\r\nX-Evil: 1",
    ],
)
async def test_a_prompt_is_kept_as_it_was_given(client, worker: FakeWorker, prompt: str) -> None:
    answer = await client.post("/v1/generations", json={"prompt": prompt})
    assert answer.status_code == 202
    again = await client.get(f"/v1/generations/{answer.json()['id']}")
    assert again.json()["request"]["prompt"] == prompt
    assert "x-evil" not in answer.headers
    assert worker.claim().record.request.prompt == prompt


@pytest.mark.parametrize(
    "model",
    ["/etc/passwd", "../models/x", "..", "a/../b", "file:///x", "https://example.com/x", "A", "a b",
     "a\n", "-a", "x" * 65, "a/b@main", "C:\\x", "\u0430"],
)  # fmt: skip
async def test_a_model_is_named_by_a_word_of_the_catalogue(client, worker, model: str) -> None:
    answer = await client.post("/v1/generations", json={"prompt": "a", "model": model})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == "/model"


@pytest.mark.parametrize("model", ["x.ckpt", "x.bin", "x.pt", "x.pkl", "x.safetensors", "a..b"])
async def test_a_word_that_is_not_in_it_stands_for_nothing(client, worker, model: str) -> None:
    answer = await client.post("/v1/generations", json={"prompt": "a", "model": model})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")


async def test_ten_thousand_ranges_are_one_whole(client) -> None:
    sent = {"content": encoded("PNG"), "headers": {"Content-Type": "image/png"}}
    file = (await client.post("/v1/files", **sent)).json()
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(10_000))
    answer = await client.get(f"/v1/files/{file['id']}/content", headers={"Range": many})
    assert (answer.status_code, len(answer.content)) == (200, file["bytes"])


@pytest.mark.parametrize("id", ["gen_1", "gen_" + "g" * 32, "gen_" + "0" * 31, "..", "%00", "*"])
async def test_no_job_is_found_by_a_guess(client, worker, id: str) -> None:
    for path in (f"/v1/generations/{id}", f"/v1/generations/{id}/events"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) in [
            (404, "job_not_found"),
            (404, "not_found"),
        ]
