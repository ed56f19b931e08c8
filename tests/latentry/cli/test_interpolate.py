"""`latentry interpolate` and the SDK behind it, against a stub of the gateway."""

import json

import pytest

from latentry.client import Client
from latentry.client.fields import InterpolationFields
from latentry.contracts import InterpolationRequest, JobStatus, Output, OutputKind
from tests.latentry.cli.test_cli import Gateway, _send, latentry
from tests.latentry.client.conftest import image, job
from tests.latentry.client.stub import serving

__all__ = ["latentry"]  # a fixture


class Frames(Gateway):
    """Answers as for a job of frames and a clip."""

    async def __call__(self, scope, receive, send):
        if scope["path"] != "/v1/interpolations":
            await super().__call__(scope, receive, send)
            return
        self.received = json.loads((await receive())["body"])
        is_dry = self.received.get("dry_run")
        body, status = (self.estimate, 200) if is_dry else (self.job(JobStatus.QUEUED), 202)
        await _send(send, body, status)

    def job(self, status):
        n = self.received["frames"]
        images = [image(k, f"{self.url}/a.png") for k in range(n)]
        outputs = [Output(**one.model_dump(), kind=OutputKind.FRAME, name="") for one in images]
        if self.received.get("output", "frames") != "frames":
            form = f"image/{self.received['output']}"
            clip = image(0, f"{self.url}/a.png").model_dump() | {"content_type": form}
            outputs.append(Output(**clip, kind=OutputKind.CLIP, name="clip"))
        made = job(status, images=images, outputs=outputs)
        return made.model_copy(update={"request": made.request.model_copy(update={"n": n})})


@pytest.fixture
def gateway(monkeypatch):
    stub = Frames()
    with serving(stub) as stub.url:
        monkeypatch.setenv("LATENTRY_URL", stub.url)
        yield stub


def test_prompts_become_the_pictures_and_a_file_of_all_frames_is_saved(
    latentry, gateway, tmp_path
) -> None:
    given = "--frames 4 --fps 12 --easing ease_in --steps 9 --priority low -o moving.gif"
    code, out, _ = latentry("interpolate", "a", "b", "c", *given.split())
    assert code == 0
    assert out == "moving.gif  seed 7\n"
    assert (tmp_path / "moving.gif").read_bytes() == b"picture"
    a, b, c = ({"prompt": prompt, "num_inference_steps": 9} for prompt in "abc")
    assert gateway.received == {
        "from": a, "via": [b], "to": c, "frames": 4, "fps": 12, "easing": "ease_in",
        "output": "gif", "priority": "low",
    }  # fmt: skip


def test_json_is_the_whole_job_though_the_file_alone_is_saved(latentry, gateway, tmp_path) -> None:
    code, out, _ = latentry("interpolate", "a", "b", "--frames", "3", "--json", "-o", "x.webp")
    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.webp"]
    told = json.loads(out)
    assert (len(told["images"]), len(told["outputs"])) == (3, 4)


def test_frames_are_saved_one_by_one_where_the_file_is_a_picture(
    latentry, gateway, tmp_path
) -> None:
    (tmp_path / "x.png").write_bytes(b"picture")
    given = "--frames 3 --keyframe-seed 1 --keyframe-seed 2 -o out.jpg"
    images = "--keyframe-image x.png --keyframe-image https://a.example/b.png"
    _, out, _ = latentry("interpolate", "a", "b", *given.split(), *images.split())
    names = ["out-1.jpg", "out-2.jpg", "out-3.jpg"]
    assert [line.split()[0] for line in out.splitlines()] == names
    assert [gateway.received[at]["seed"] for at in ("from", "to")] == [1, 2]
    assert gateway.received["from"]["image"].startswith("data:")
    assert gateway.received["to"]["image"] == "https://a.example/b.png"
    assert gateway.received["output_format"] == "jpeg"
    assert gateway.received["output"] == "frames"


def test_a_folder_gets_one_file_and_other_endings_are_refused(latentry, gateway, tmp_path) -> None:
    (tmp_path / "made").mkdir()
    assert latentry("interpolate", "a", "b", "-o", "made")[0] == 0
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["job-1.webp"]
    code, _, err = latentry("interpolate", "a", "b", "-o", "x.avi")
    assert (code, ".mp4" in err) == (2, True)


@pytest.mark.parametrize("given", [["a"], ["a", "b", "--keyframe-seed", "1"]])
def test_what_is_incomplete_is_refused_before_anything_is_sent(latentry, gateway, given) -> None:
    code, _, err = latentry("interpolate", *given)
    assert (code, gateway.received) == (2, None)
    assert "prompt" in err


def test_a_dry_run_prints_the_cost(latentry, gateway) -> None:
    _, out, _ = latentry("interpolate", "a", "b", "--dry-run")
    assert "0.4096 step-megapixels" in out
    assert gateway.received["dry_run"] is True


def test_the_sdk_takes_mappings_and_requests_of_jobs(gateway) -> None:
    with Client(gateway.url) as client:
        found = client.interpolate({"prompt": "a"}, job().request, 3, output="webp", timeout_s=9)
    assert [one.kind for one in found.outputs] == [OutputKind.FRAME] * 3 + [OutputKind.CLIP]
    assert gateway.received["to"]["seed"] == 7
    assert gateway.received["from"] == {"prompt": "a"}


def test_the_sdk_takes_every_field() -> None:
    own = {"from_", "to", "frames"}  # positional
    methods = {"dry_run"}  # Client.estimate_interpolation
    named = InterpolationRequest.model_fields.keys() - own - methods
    assert InterpolationFields.__annotations__.keys() == named


def test_every_field_has_a_description() -> None:
    for name, field in InterpolationRequest.model_fields.items():
        assert field.description, name
