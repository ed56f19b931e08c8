"""`latentry generate` with several prompts, and with a file of them."""

import asyncio
import json
import threading
from contextlib import suppress
from itertools import count

import pytest

from latentry.contracts import Event, EventType, GenerationRequest, JobStatus
from latentry.contracts.problems import JobError
from latentry.errors import JobFailed
from tests.latentry.cli.test_cli import _send, latentry
from tests.latentry.client.conftest import image, job, problem
from tests.latentry.client.stub import answer, serving, sse

__all__ = ["latentry"]


class Many:
    """Draws every prompt, but those that say `fail` or `refuse`; keeps what it was asked."""

    def __init__(self):
        self.received, self.numbers, self.url = [], count(1), ""
        self.jobs = {}
        self.canceled = []
        self.hangs, self.watched, self.ended = False, threading.Event(), asyncio.Event()

    async def __call__(self, scope, receive, send):
        match scope["method"], scope["path"].split("/")[1:]:
            case "POST", ["v1", "generations"]:
                body = json.loads((await receive())["body"])
                self.received.append(body)
                if "refuse" in body.get("prompt", ""):
                    refusal = problem(422, "prompt_refused")
                    await answer(send, 422, "application/problem+json", refusal.content)
                    return
                job_id = f"job-{next(self.numbers)}"
                self.jobs[job_id] = body
                await _send(send, self.job(job_id, JobStatus.QUEUED), 202)
            case "GET", ["v1", "generations", job_id, "events"]:
                if self.hangs:
                    step = Event(type=EventType.RUNNING, id="1-0")
                    await answer(send, 200, "text/event-stream", sse(step), more=True)
                    self.watched.set()
                    await self.ended.wait()
                    end = Event(type=EventType.CANCELED, job=self.job(job_id, JobStatus.CANCELED))
                    await send({"type": "http.response.body", "body": sse(end)})
                    return
                failed = "fail" in self.jobs[job_id].get("prompt", "")
                status = JobStatus.FAILED if failed else JobStatus.SUCCEEDED
                end = Event(type=EventType(status), id="2-0", job=self.job(job_id, status))
                await answer(send, 200, "text/event-stream", sse(end))
            case "POST", ["v1", "generations", job_id, "cancel"]:
                self.canceled.append(job_id)
                self.ended.set()
                await _send(send, self.job(job_id, JobStatus.CANCELED))
            case "GET", ["a.png"]:
                await answer(send, 200, "image/png", b"picture")

    def job(self, job_id, status):
        images = [image(0, f"{self.url}/a.png")] if status is JobStatus.SUCCEEDED else []
        error = JobError(code=JobFailed.code, message="No.") if status is JobStatus.FAILED else None
        return job(status, job_id, images=images, error=error)


@pytest.fixture
def gateway(monkeypatch):
    stub = Many()
    with serving(stub) as stub.url:
        monkeypatch.setenv("LATENTRY_URL", stub.url)
        yield stub


def test_each_prompt_is_a_job_and_a_numbered_file(latentry, gateway, tmp_path) -> None:
    code, out, _ = latentry("generate", "a frog", "a fish", "--steps", "5", "-o", "out.png")
    assert code == 0
    assert sorted(line.split()[0] for line in out.splitlines()) == ["out-1.png", "out-2.png"]
    assert (tmp_path / "out-2.png").read_bytes() == b"picture"
    assert sorted(one["prompt"] for one in gateway.received) == ["a fish", "a frog"]
    assert all(one["num_inference_steps"] == 5 for one in gateway.received)


def test_a_file_has_prompts_and_requests_of_which_the_own_fields_count(
    latentry, gateway, tmp_path
) -> None:
    lines = ["a frog", "", '{"prompt": "a fish", "seed": 9, "loras": [{"id": "ink"}]}']
    (tmp_path / "prompts.txt").write_text("\n".join(lines))
    code, out, _ = latentry("generate", "--prompts", "prompts.txt", "--seed", "7", "--json")
    assert code == 0
    assert {json.loads(line)["id"] for line in out.splitlines()} == {"job-1", "job-2"}
    by_prompt = {one["prompt"]: one for one in gateway.received}
    assert by_prompt["a frog"] == {"prompt": "a frog", "seed": 7}
    assert by_prompt["a fish"]["seed"] == 9
    assert by_prompt["a fish"]["loras"] == [{"id": "ink"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_new_lines_end_a_request(latentry, gateway, tmp_path, end) -> None:
    """JSON may have other separators of lines in its texts, as JavaScript's has them."""
    prompts = ["a frog\u2028on a leaf", "a fish\x85"]
    lines = [json.dumps({"prompt": prompt}, ensure_ascii=False) for prompt in prompts]
    (tmp_path / "prompts.txt").write_bytes(end.join(lines).encode())
    code, _, err = latentry("generate", "--prompts", "prompts.txt", "--json")
    assert code == 0, err
    assert {one["prompt"] for one in gateway.received} == set(prompts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a frog\n{"prompt": "a fish", "steps": 5}', "line 2: steps"),
        ("a frog\n{prompt", "line 2: it begins with {"),
        ('{"a": ' * 100_000, "line 1: it begins with {"),
        ('a frog\n{"prompt": "x", "dry_run": true}', "line 2: dry_run"),
        ("\n\n", "it has no prompts"),
        ("\udcff", "it is not text in UTF-8"),
        (None, "it cannot be read"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_before_anything_is_sent(
    latentry, gateway, tmp_path, text, said
) -> None:
    if text is not None:
        (tmp_path / "prompts.txt").write_bytes(text.encode(errors="surrogateescape"))
    code, _, err = latentry("generate", "--prompts", "prompts.txt")
    assert code == 2
    assert said in " ".join(err.split())
    assert gateway.received == []


def test_one_that_fails_does_not_end_the_others(latentry, gateway, tmp_path) -> None:
    prompts = ("a frog", "fail", "refuse")
    code, out, err = latentry("generate", *prompts, "-o", "out.png", "--concurrency", "1")
    assert code == 1
    assert out == "out-1.png  seed 7\n"
    assert "fail: Job job-2 ended as failed: No. (job_failed)\n" in err
    assert "refuse: Not now. (prompt_refused)\n" in err
    assert err.endswith("2 of 3 failed.\n")
    assert not (tmp_path / "out-2.png").exists()


def test_a_service_that_is_away_is_said_once(latentry) -> None:
    prompts = [f"frog {number}" for number in range(30)]
    code, _, err = latentry("generate", *prompts, "--url", "http://127.0.0.1:9")
    assert (code, err.count("\n")) == (3, 1)
    assert "latentry serve" in err


def suppressed(work, item) -> None:
    with suppress(RuntimeError):  # its client is closed in the midst
        work(item)


def test_ctrl_c_cancels_the_jobs_under_way(gateway, monkeypatch, capsys, tmp_path) -> None:
    from latentry.cli.drawing import many
    from latentry.cli.drawing.asked import Asked
    from latentry.cli.exits import Exit
    from latentry.client import Client

    gateway.hangs = True

    def interrupted(work, items, concurrency):
        threading.Thread(target=suppressed, args=(work, items[0]), daemon=True).start()
        assert gateway.watched.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(many, "in_threads", interrupted)
    asked = [Asked("", {"prompt": "a frog"}), Asked("", {"prompt": "a fish"})]
    with Client(gateway.url) as client, pytest.raises(many.typer.Exit) as ended:
        many.draw(client, asked, tmp_path, 2, as_json=False, show=None)
    assert ended.value.exit_code == Exit.INTERRUPTED
    assert gateway.canceled == ["job-1"]
    assert capsys.readouterr().err == "Job job-1 is canceled.\n"


def test_a_picture_is_edited_by_the_same_request(latentry, gateway, tmp_path) -> None:
    (tmp_path / "in.png").write_bytes(b"picture")
    given = ("--mask", "file_1", "--strength", "0.5", "-o", "out.png")
    code, out, _ = latentry("edit", "in.png", "a green frog", *given)
    assert (code, out) == (0, "out.png  seed 7\n")
    [sent] = gateway.received
    assert sent["image"].startswith("data:")
    assert (sent["mask"], sent["strength"], sent["prompt"]) == ("file_1", 0.5, "a green frog")
    assert "image" in GenerationRequest.model_fields
    code, _, err = latentry("edit", "gone.png", "a green frog")
    assert (code, "gone.png" in err) == (2, True)
