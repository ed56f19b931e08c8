"""`latentry clip` against the stub of the gateway."""

import json

import pytest

from latentry.contracts import ClipFormat, JobStatus, Output, OutputKind
from latentry.contracts.fields.clip import Clip
from tests.latentry.cli.test_cli import Gateway, _send, latentry  # noqa: F401
from tests.latentry.client.conftest import image, job
from tests.latentry.client.stub import answer, serving


class ClipGateway(Gateway):
    """Answers clips of two frames."""

    async def __call__(self, scope, receive, send):
        match scope["method"], scope["path"]:
            case "POST", "/v1/clips":
                self.received = json.loads((await receive())["body"])
                is_dry = self.received.get("dry_run")
                body, status = (self.estimate, 200) if is_dry else (self.job(JobStatus.QUEUED), 202)
                await _send(send, body, status)
            case "GET", "/a.mp4":
                await answer(send, 200, "video/mp4", b"clip")
            case _:
                await super().__call__(scope, receive, send)

    def job(self, status):
        images = [image(index, f"{self.url}/a.png") for index in range(2)]
        outputs = [Output(**one.model_dump(), kind=OutputKind.FRAME, name="") for one in images]
        form = (self.received or {}).get("output")
        kind = f"video/{form}" if form == "mp4" else f"image/{form}"
        file = image(0, f"{self.url}/a.mp4").model_copy(update={"content_type": kind})
        outputs.append(Output(**file.model_dump(), kind=OutputKind.CLIP, name="clip"))
        made = job(status, images=images, outputs=outputs)
        if form == "frames":
            made = made.model_copy(update={"outputs": outputs[:2]})
        of_clip = made.request.model_copy(update={"clip": Clip(frames=2)})
        return made.model_copy(update={"request": of_clip})


@pytest.fixture
def gateway(monkeypatch):
    stub = ClipGateway()
    with serving(stub) as stub.url:
        monkeypatch.setenv("LATENTRY_URL", stub.url)
        yield stub


@pytest.mark.parametrize("form", ClipFormat)
def test_the_file_s_name_says_what_clip_is_made(latentry, gateway, tmp_path, form):  # noqa: F811
    file = f"out.{form}"
    code, out, _ = latentry("clip", "a red circle", "--frames", "2", "--fps", "12", "-o", file)
    assert code == 0
    assert out == f"{file}  seed 7\n"
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_bytes() == b"clip"
    assert gateway.received == {"prompt": "a red circle", "frames": 2, "fps": 12, "output": form}


def test_frames_are_numbered(latentry, gateway, tmp_path):  # noqa: F811
    code, _, _ = latentry("clip", "a red circle", "-o", "out.png", "--style", "night")
    assert code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-1.png", "out-2.png"]
    assert gateway.received == {
        "prompt": "a red circle", "styles": ["night"], "output": "frames", "output_format": "png",
    }  # fmt: skip


def test_a_clip_without_a_name_has_its_job_s(latentry, gateway, tmp_path):  # noqa: F811
    assert latentry("clip", "a red circle")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["job-1.webp"]


def test_json_is_the_whole_job_though_the_file_alone_is_saved(latentry, gateway, tmp_path):  # noqa: F811
    (tmp_path / "made").mkdir()
    code, out, _ = latentry("clip", "a red circle", "--json", "-o", "made")
    assert code == 0
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["job-1.webp"]
    told = json.loads(out)
    assert (len(told["images"]), len(told["outputs"])) == (2, 3)


def test_a_dry_run_tells_the_cost(latentry, gateway, tmp_path):  # noqa: F811
    code, out, _ = latentry("clip", "a red circle", "--dry-run")
    assert code == 0
    assert "step-megapixels" in out
    assert not [*tmp_path.iterdir()]


def test_another_kind_of_file_is_refused(latentry, gateway):  # noqa: F811
    code, _, err = latentry("clip", "a red circle", "-o", "out.avi")
    assert code == 2
    assert ".mp4" in err
    assert gateway.received is None
