"""The commands against a stub of the gateway, over real connections."""

import base64
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from latentry import __version__
from latentry.cli import main
from latentry.contracts import (
    Adapter,
    AdapterList,
    Cost,
    Defaults,
    Estimate,
    Event,
    EventType,
    GenerationRequest,
    JobKind,
    JobStatus,
    Limits,
    Model,
    ModelList,
    Output,
    OutputKind,
    Preview,
    Progress,
    Sampler,
    Style,
    StyleList,
)
from tests.latentry.client.conftest import image, job, problem
from tests.latentry.client.stub import answer, serving, sse
from tests.valkey import free_port

INK = Adapter(
    id="ink",
    family="SDXL",
    models=("xl",),
    sha256="1",
    autov3="2",
    size_bytes=1_500_000,
    rank=16,
    networks=("unet",),
    trigger_words=("inky",),
)
WISP = Adapter(
    id="wisp",
    kind="embedding",
    family="SD 1.x",
    models=(),
    sha256="3",
    autov3="4",
    size_bytes=25_000,
    vectors=8,
    networks=("text_encoder",),
    reason="There is no model that it could fit.",
    trigger_words=("wisp",),
)
CARD = Model(
    id="shapes",
    limits=Limits(max_side=192),
    defaults=Defaults(
        width=128, height=128, num_inference_steps=25, guidance_scale=4.0, sampler=Sampler.DDIM
    ),
    samplers=[Sampler.DDIM, Sampler.EULER],
    created=0,
    workers=1,
)
ESTIMATE = Estimate(cost=Cost(step_megapixels=0.4096, worker_seconds=1.5), estimated_wait_s=12.345)


class Gateway:
    """Ends every job at once, as `ends_as`, and keeps the last request body as `received`.

    A gateway that `hangs` never gets to the end of its event stream.
    """

    def __init__(self):
        self.hangs = False
        self.cancel_path = "/v1/generations/job-1/cancel"
        self.watched = threading.Event()
        self.received = None
        self.estimate = ESTIMATE
        self.previews = []
        self.steps = []
        self.ends_as = JobStatus.SUCCEEDED
        self.kind = JobKind.GENERATION
        self.card = CARD
        self.url = ""

    async def __call__(self, scope, receive, send):
        match scope["method"], scope["path"]:
            case "POST", "/v1/generations":
                self.received = json.loads((await receive())["body"])
                is_dry = self.received.get("dry_run")
                body, status = (self.estimate, 200) if is_dry else (self.job(JobStatus.QUEUED), 202)
                await _send(send, body, status)
            case "GET", "/v1/generations/job-1/events":
                await answer(send, 200, "text/event-stream", self.events(), more=self.hangs)
                self.watched.set()
                while self.hangs and (await receive())["type"] != "http.disconnect":
                    pass
            case ("GET", "/v1/generations/job-1") | ("POST", self.cancel_path):
                await _send(send, self.job(self.ends_as))
            case "GET", ("/v1/models" | "/v1/adapters" | "/v1/styles") as path:
                await _send(send, self.lists()[path])
            case "GET", "/a.png":
                await answer(send, 200, "image/png", b"picture")
            case _:
                refusal = problem(404, "job_not_found")
                await answer(send, 404, "application/problem+json", refusal.content)

    def lists(self):
        return {
            "/v1/models": ModelList(data=[self.card]),
            "/v1/adapters": AdapterList(data=[INK, WISP]),
            "/v1/styles": StyleList(data=[Style(name="night", prompt="{prompt}, [dark]")]),
        }

    def job(self, status):
        n = (self.received or {}).get("n", 1)
        images = [image(index, f"{self.url}/a.png") for index in range(n)]
        if status is not JobStatus.SUCCEEDED:
            images = []
        outputs = [
            Output(**one.model_dump(), kind=kind, name=name)
            for one in images
            for kind, name in (*self.steps, (OutputKind.IMAGE, ""))
        ]
        made = job(status, images=images, outputs=outputs)
        request = made.request.model_copy(update={"n": n})
        return made.model_copy(update={"request": request, "kind": self.kind})

    def events(self):
        step = Event(type=EventType.STEP, progress=Progress(step=3, steps=25))
        if self.hangs:
            return sse(step)
        end = Event(type=EventType(self.ends_as), id="3-0", job=self.job(self.ends_as))
        previews = [sse(Event(type=EventType.PREVIEW, preview=one)) for one in self.previews]
        queued = sse(Event(type=EventType.QUEUED, id="1-0", position=2))
        return queued + sse(step) + b"".join(previews) + sse(end)


def _data_url(step):
    return f"data:image/jpeg;base64,{base64.b64encode(b'after %d' % step).decode()}"


async def _send(send, model, status=200):
    await answer(send, status, "application/json", model.model_dump_json().encode())


@pytest.fixture
def gateway(monkeypatch):
    stub = Gateway()
    with serving(stub) as stub.url:
        monkeypatch.setenv("LATENTRY_URL", stub.url)
        yield stub


@pytest.fixture
def latentry(monkeypatch, capsys, tmp_path):
    """Runs the command line; gives its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["latentry", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_generate_saves_the_picture_and_prints_where_it_came_from(latentry, gateway, tmp_path):
    code, out, _ = latentry("generate", "a red circle", "--seed", "7", "-o", "out.png")
    assert code == 0
    assert out == "out.png  seed 7\n"
    assert (tmp_path / "out.png").read_bytes() == b"picture"
    assert gateway.received == {"prompt": "a red circle", "seed": 7, "output_format": "png"}


def test_several_pictures_are_numbered(latentry, gateway, tmp_path):
    _, out, _ = latentry("generate", "a red circle", "-n", "2", "-o", "out.jpg")
    assert [line.split()[0] for line in out.splitlines()] == ["out-1.jpg", "out-2.jpg"]
    assert (tmp_path / "out-2.jpg").exists()
    assert gateway.received["output_format"] == "jpeg"


def test_every_field_of_a_request_has_an_option(latentry, gateway, tmp_path):
    given = (
        "--model shapes --negative-prompt blue --width 96 --height 128 --steps 5 --guidance 3.5 "
        "--sampler euler --seed 9 -n 1 --format webp --determinism strict --metadata a=b=c "
        "--prompt-syntax plain --clip-skip 1 --original-size 512 768 --crops-coords-top-left 0 8 "
        "--target-size 96 128 --guidance-rescale 0.7 --guidance-stop 0.5 --cache-interval 2 "
        "--intermediates-every 2 --intermediates-kind predicted "
        "--variation-seed 3 --variation-strength 0.25 "
        "--spacing karras --priority high --start-within 60 --finish-within 600 --keep-for 3600 "
        "--user ann "
        "--seamless x --quality 80 --lossless --provenance minimal --style night --style oil "
        "--image picture.png --mask https://pictures.example/mask.png --strength 0.5 "
        "--refiner xl-refiner --refiner-switch-at 0.6 "
        "--image-guidance-scale 2.5 --denoise-start 0.25 --denoise-end 0.75 "
        "--resize-mode crop --mask-blur 4 --mask-fill noise --inpaint-area masked "
        "--mask-channel alpha --mask-padding 16 --extend 8 0 16 0 "
        "--image-prompt ip=picture.png:2 "
        "--image-prompt ip=https://a.example:8443/b.png:0.5 "
        "--lora ink:0.8 --embedding wisp "
        "--control lines=picture.png:0.5 --control depth=file_1 "
        "--hires scale=1.5 --hires steps=9 --hires upscaler=lanczos "
        "--vae glass --preview-interval 5 --preview-size 256 "
        "--webhook https://shop.example/hook --webhook-event failed"
    )
    (tmp_path / "picture.png").write_bytes(b"picture")
    code, _, _ = latentry("generate", "a red circle", *given.split())
    assert code == 0
    assert gateway.received == {
        "model": "shapes",
        "prompt": "a red circle",
        "negative_prompt": "blue",
        "prompt_syntax": "plain",
        "styles": ["night", "oil"],
        "clip_skip": 1,
        "width": 96,
        "height": 128,
        "num_inference_steps": 5,
        "guidance_scale": 3.5,
        "guidance_rescale": 0.7,
        "guidance_stop": 0.5,
        "cache_interval": 2,
        "sampler": "euler",
        "spacing": "karras",
        "original_size": [512, 768],
        "crops_coords_top_left": [0, 8],
        "target_size": [96, 128],
        "seed": 9,
        "seamless": "x",
        "image": "data:application/octet-stream;base64,cGljdHVyZQ==",
        "mask": "https://pictures.example/mask.png",
        "strength": 0.5,
        "refiner": "xl-refiner",
        "refiner_switch_at": 0.6,
        "image_guidance_scale": 2.5,
        "denoise_start": 0.25,
        "denoise_end": 0.75,
        "resize_mode": "crop",
        "mask_blur": 4,
        "mask_channel": "alpha",
        "mask_fill": "noise",
        "inpaint_area": "masked",
        "mask_padding": 16,
        "extend": {"left": 8, "top": 0, "right": 16, "bottom": 0},
        "loras": [{"id": "ink", "weight": 0.8}],
        "vae": {"id": "glass"},
        "controls": [
            {
                "id": "lines",
                "image": "data:application/octet-stream;base64,cGljdHVyZQ==",
                "weight": 0.5,
            },
            {"id": "depth", "image": "file_1"},
        ],
        "image_prompts": [
            {"id": "ip", "image": "data:application/octet-stream;base64,cGljdHVyZQ==", "weight": 2},
            {"id": "ip", "image": "https://a.example:8443/b.png", "weight": 0.5},
        ],
        "embeddings": [{"id": "wisp"}],
        "hires": {"scale": 1.5, "steps": 9, "upscaler": "lanczos"},
        "variation_seed": 3,
        "variation_strength": 0.25,
        "n": 1,
        "output_format": "webp",
        "output_quality": 80,
        "output_lossless": True,
        "provenance": "minimal",
        "determinism": "strict",
        "preview_interval": 5,
        "preview_size": 256,
        "intermediates": {"every": 2, "kinds": ["predicted"]},
        "user": "ann",
        "priority": "high",
        "start_within": 60,
        "finish_within": 600,
        "keep_for": 3600,
        "metadata": {"a": "b=c"},
        "webhook": {"url": "https://shop.example/hook", "events": ["failed"]},
    }
    assert gateway.received.keys() == GenerationRequest.model_fields.keys() - {
        "dry_run",
        "template",
    }
    assert (tmp_path / "job-1.png").exists()


@pytest.mark.parametrize(
    ("n", "files"),
    [
        (1, ["a.png", "a-latent-0005.png", "a-predicted-0005.png"]),
        (2, ["a-1.png", "a-1-latent-0005.png", "a-2-latent-0005.png", "a-2-predicted-0005.png"]),
    ],
)
def test_intermediates_are_saved_beside_their_image(latentry, gateway, tmp_path, n, files):
    gateway.steps = [
        (OutputKind.LATENT, "latent-0005"),
        (OutputKind.PREDICTED, "predicted-0005"),
    ]
    given = ["-o", "a.png", "--intermediates-every", "5", "-n", str(n)]
    code, out, _ = latentry("generate", "a red circle", *given)
    assert code == 0
    assert gateway.received["intermediates"] == {"every": 5}
    assert len(out.splitlines()) == len(list(tmp_path.iterdir())) == 3 * n
    assert all((tmp_path / file).read_bytes() == b"picture" for file in files)


def test_a_kind_of_intermediate_needs_their_interval(latentry, gateway):
    code, _, err = latentry("generate", "a red circle", "--intermediates-kind", "latent")
    assert code == 2
    assert "--intermediates-every" in err
    assert gateway.received is None


def test_a_picture_needs_no_prompt_and_may_be_an_id(latentry, gateway):
    code, _, _ = latentry("generate", "--image", "file_1", "-o", "out.png")
    assert code == 0
    assert gateway.received == {"image": "file_1", "output_format": "png"}


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("generate frog --mask gone.png", "--mask"),
        ("generate frog --control edges=gone.png", "--control"),
        ("interpolate a b --keyframe-image gone.png --keyframe-image x.png", "--keyframe-image"),
        ("edit gone.png frog", "PICTURE"),
        ("upscale gone.png", "PICTURE"),
        ("control gone.png", "PICTURE"),
        ("caption gone.png", "PICTURE"),
        ("verify gone.png", "FILE"),
        ("files upload gone.png", "PATH"),
    ],
)
def test_a_picture_that_is_not_there_is_named_as_help_names_it(latentry, gateway, command, named):
    code, _, err = latentry(*command.split())
    assert code == 2
    assert f"Invalid value: {named} gone.png: there is no such file." in err
    assert gateway.received is None


def test_a_picture_in_base64_for_its_path_is_not_printed(latentry, gateway):
    code, _, err = latentry("edit", "iVBORw0KGgo" * 9000)
    assert (code, len(err) < 500) == (2, True)
    assert "there is no such file" in err
    assert gateway.received is None


def test_neither_a_prompt_nor_a_picture_is_an_error(latentry, gateway):
    code, _, err = latentry("generate")
    assert code != 0
    assert "prompt" in err


def test_the_long_names_of_two_options_are_their_fields(latentry, gateway):
    code, _, _ = latentry("generate", "a frog", "--num-inference-steps", "5", "--guidance-scale=2")
    assert code == 0
    assert gateway.received["num_inference_steps"] == 5
    assert gateway.received["guidance_scale"] == 2


def test_a_webhook_without_events_gets_every_end(latentry, gateway):
    latentry("generate", "a red circle", "--webhook", "https://shop.example/hook")
    assert gateway.received["webhook"] == {"url": "https://shop.example/hook"}


def test_a_dry_run_prints_the_estimate_and_saves_nothing(latentry, gateway, tmp_path):
    code, out, _ = latentry("generate", "a red circle", "--dry-run", "-o", "out.png")
    assert code == 0
    assert out == ("Cost: 0.4096 step-megapixels, 1.5 s of one worker.\nEstimated wait: 12.3 s.\n")
    assert gateway.received == {"prompt": "a red circle", "output_format": "png", "dry_run": True}
    assert not list(tmp_path.iterdir())


def test_a_dry_run_prints_what_is_unknown(latentry, gateway):
    gateway.estimate = Estimate(cost=Cost(step_megapixels=0.4096))
    assert latentry("generate", "a red circle", "--dry-run")[1] == (
        "Cost: 0.4096 step-megapixels.\nEstimated wait: unknown, no worker of the model is live.\n"
    )


def test_the_latest_preview_is_saved_next_to_the_picture(latentry, gateway, tmp_path):
    gateway.previews = [Preview(index=0, step=k, url=_data_url(k)) for k in (5, 10)]
    code, out, _ = latentry("generate", "a red circle", "--preview-interval", "5", "-o", "out.png")
    assert (code, out) == (0, "out.png  seed 7\n")
    assert gateway.received["preview_interval"] == 5
    assert (tmp_path / "out-preview.jpg").read_bytes() == b"after 10"
    assert (tmp_path / "out.png").read_bytes() == b"picture"


def test_help_has_the_descriptions_of_the_api_fields(latentry):
    out = " ".join(latentry("generate", "--help")[1].split())
    assert GenerationRequest.model_fields["original_size"].description in out
    assert GenerationRequest.model_fields["prompt_syntax"].description in out


def test_a_failed_job_prints_one_sentence_and_exits_with_1(latentry, gateway):
    gateway.ends_as = JobStatus.FAILED
    code, out, err = latentry("generate", "a red circle")
    assert (code, out, err) == (1, "", "latentry: Job job-1 ended as failed.\n")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--width", "129"),
        ("-o", "out.gif"),
        ("--metadata", "novalue"),
        ("--priority", "urgent"),
        ("--start-within", "0"),
        ("--webhook-event", "failed"),
        ("--webhook", "https://shop.example/hook", "--webhook-event", "step"),
        ("--steps", "many"),
        ("--sampler", "magic"),
    ],
)
def test_misuse_exits_with_2_and_sends_no_request(latentry, gateway, wrong):
    code, _, err = latentry("generate", "a red circle", *wrong)
    assert code == 2
    assert err
    assert gateway.received is None


def test_models_are_listed(latentry, gateway):
    code, out, _ = latentry("models")
    assert code == 0
    assert out.splitlines()[1].split() == ["shapes", "128×128", "25", "4", "ddim,", "euler", "1"]


def test_a_models_warnings_are_printed_beside_the_list(latentry, gateway):
    gateway.card = CARD.model_copy(update={"warnings": ("Its scheduler is not known.",)})
    code, out, err = latentry("models")
    assert (code, err) == (0, "shapes: Its scheduler is not known.\n")
    assert len(out.splitlines()) == 2


def test_adapters_are_listed(latentry, gateway):
    code, out, err = latentry("adapters")
    assert (code, err) == (0, "wisp: There is no model that it could fit.\n")
    ink, wisp = (line.split() for line in out.splitlines()[1:])
    assert ink == ["ink", "lora", "SDXL", "xl", "16", "1.5", "MB", "inky"]
    assert wisp == ["wisp", "embedding", "SD", "1.x", "8", "25.0", "kB", "wisp"]


@pytest.mark.parametrize("given", ["ip", "ip=none.png", "ip=none.png:0.5", "=https://a.example/b"])
def test_an_image_prompt_that_says_something_else_is_refused(latentry, gateway, given):
    code, _, err = latentry("generate", "a frog", "--image-prompt", given)
    assert code
    assert "image" in err


@pytest.mark.parametrize("given", ["a:1:2:3", "a:x", ":1"])
def test_a_lora_that_says_something_else_is_refused(latentry, gateway, given):
    code, _, err = latentry("generate", "a frog", "--lora", given)
    assert code
    assert "lora" in err


def test_styles_are_listed(latentry, gateway):
    code, out, _ = latentry("styles")
    assert code == 0
    assert out.splitlines()[1].split() == ["night", "{prompt},", "[dark]"]


def test_a_job_is_printed_as_text_or_as_json(latentry, gateway):
    _, out, _ = latentry("status", "job-1")
    assert out == (
        "Job job-1 has succeeded.\nImage 1: 128×128, seed 7.\n"
        "`latentry fetch job-1` saves them; --json has the URLs.\n"
    )
    _, out, _ = latentry("status", "job-1", "--json")
    assert json.loads(out)["id"] == "job-1"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (JobStatus.RUNNING, "is running"),
        (JobStatus.FAILED, "has failed"),
        (JobStatus.CANCELED, "is canceled"),
        (JobStatus.EXPIRED, "has expired"),
    ],
)
def test_the_state_of_a_job_is_a_sentence(latentry, gateway, state, said):
    gateway.ends_as = state
    assert latentry("status", "job-1")[1] == f"Job job-1 {said}.\n"


@pytest.mark.parametrize("kind", [JobKind.UPSCALE, JobKind.CONTROL])
def test_what_is_drawn_from_no_seed_is_said_to_have_none(latentry, gateway, kind):
    gateway.kind = kind
    assert "Image 1: 128×128.\n" in latentry("status", "job-1")[1]
    assert latentry("fetch", "job-1", "-o", "out.png")[1] == "out.png\n"


def test_json_has_the_whole_job_alone_on_standard_output(latentry, gateway, tmp_path):
    code, out, err = latentry("generate", "a frog", "-o", "out.png", "--json")
    assert (code, err) == (0, "out.png  seed 7\n")
    assert json.loads(out)["images"][0]["url"] == f"{gateway.url}/a.png"
    _, out, _ = latentry("generate", "a frog", "--dry-run", "--json")
    assert json.loads(out)["cost"] == {"step_megapixels": 0.4096, "worker_seconds": 1.5}


@pytest.mark.parametrize("command", [("generate", "a red circle"), ("fetch", "job-1"), ("demo",)])
def test_where_nothing_can_be_saved_is_said_before_anything_is_drawn(latentry, gateway, command):
    code, _, err = latentry(*command, "-o", "/nonexistent/a.png")
    assert code == 2
    assert "there is no folder /nonexistent" in " ".join(err.split())
    assert gateway.received is None


def keeps(monkeypatch, which):
    """The system lets nobody write there, as it does not let others than root."""
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or not which(Path(path)))


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("generate", "a frog"), "out.png"),
        (("generate", "a frog", "-n", "2"), "out-2.png"),
        (("generate", "a frog", "a fish"), "out-2.png"),
        (("generate", "a frog", "a fish", "-n", "2"), "out-1-2.png"),
        (("interpolate", "a", "b", "--frames", "3"), "out-3.png"),
        (("clip", "a"), "out-2.png"),
        (("fetch", "job-1"), "out.png"),
        (("demo",), "out.png"),
    ],
)
def test_a_file_that_nobody_may_replace_is_said_before_anything_is_drawn(
    latentry, gateway, tmp_path, monkeypatch, command, file
):
    (tmp_path / file).write_bytes(b"mine")
    keeps(monkeypatch, lambda path: path.name == file)
    code, _, err = latentry(*command, "-o", "out.png")
    assert (code, gateway.received) == (2, None)
    assert f"{file} cannot be written to" in " ".join(err.split())
    assert (tmp_path / file).read_bytes() == b"mine"


def test_a_folder_in_the_place_of_a_numbered_image_is_said_before_anything_is_drawn(
    latentry, gateway, tmp_path
):
    (tmp_path / "out-2.png").mkdir()
    assert latentry("generate", "a frog", "-n", "2", "-o", "out.png")[0] == 2
    assert gateway.received is None
    assert latentry("generate", "a frog", "-o", "out.png")[0] == 0


def test_a_file_may_be_replaced_in_a_folder_that_takes_no_new_one(
    latentry, gateway, tmp_path, monkeypatch
):
    (tmp_path / "out.png").write_bytes(b"mine")
    keeps(monkeypatch, Path.is_dir)
    assert latentry("generate", "a frog", "-o", "out.png")[0] == 0
    assert (tmp_path / "out.png").read_bytes() == b"picture"
    assert latentry("generate", "a frog", "-o", "new.png")[0] == 2


@pytest.mark.parametrize("output", ["folder", "sheet.txt", "sheet"])
def test_a_sheet_that_could_not_be_saved_is_refused_before_it_is_drawn(
    latentry, tmp_path, monkeypatch, output
):
    (tmp_path / "folder").mkdir()
    drawn = []
    monkeypatch.setattr("latentry.cli.demo._demo", lambda *_: drawn.append(output))
    monkeypatch.setattr("latentry.cli.serve.signals.run", bool)
    assert latentry("demo", "-o", output)[0] == 2
    assert not drawn


def test_a_folder_gets_files_named_by_the_job(latentry, gateway, tmp_path):
    (tmp_path / "pictures").mkdir()
    assert latentry("generate", "a frog", "-o", "pictures")[1] == "pictures/job-1.png  seed 7\n"
    assert "output_format" not in gateway.received


def test_images_that_could_not_be_saved_are_named_with_how_to_get_them(latentry, gateway, tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "a.png" / "job-1.png").mkdir()
    code, _, err = latentry("generate", "a frog", "-o", "a.png")
    assert code == 1
    assert "`latentry fetch job-1` saves its images" in err


def test_a_job_is_fetched(latentry, gateway, tmp_path):
    code, out, _ = latentry("fetch", "job-1", "-o", "out.png")
    assert (code, out) == (0, "out.png  seed 7\n")
    assert (tmp_path / "out.png").read_bytes() == b"picture"
    assert gateway.received is None
    gateway.ends_as = JobStatus.FAILED
    assert latentry("fetch", "job-1")[0] == 1


def test_a_job_is_canceled(latentry, gateway):
    gateway.ends_as = JobStatus.CANCELED
    assert latentry("cancel", "job-1")[:2] == (0, "Job job-1 is canceled.\n")


def test_ctrl_c_cancels_the_job(gateway):
    gateway.hangs = True
    gateway.ends_as = JobStatus.CANCELED
    command = [sys.executable, "-m", "latentry", "generate", "a red circle"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert gateway.watched.wait(30)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "Job job-1 is canceled.\n"
    assert process.returncode == 130


def test_ctrl_c_says_what_can_be_done_where_it_could_not_cancel(gateway):
    gateway.hangs = True
    gateway.cancel_path = "/nowhere"
    command = [sys.executable, "-m", "latentry", "generate", "a red circle"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert gateway.watched.wait(30)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "`latentry fetch job-1`" in said
    assert "`latentry cancel job-1`" in said


def test_an_error_of_the_service_is_one_sentence(latentry, gateway):
    assert latentry("status", "nobody") == (1, "", "latentry: Not now. (job_not_found)\n")


def test_an_unreachable_service_is_reported_with_how_to_start_one(latentry):
    code, _, err = latentry("models", "--url", "http://127.0.0.1:9")
    assert code == 3
    assert "http://127.0.0.1:9/ does not respond: Connection refused." in err
    assert "latentry serve" in err


@pytest.mark.parametrize(
    ("variable", "value", "sentence", "expected"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "pip install 'httpx[socks]'", 2),
        ("HTTP_PROXY", "socks4://127.0.0.1:9", "HTTP_PROXY (127.0.0.1:9) cannot be used", 2),
        ("HTTP_PROXY", "http://127.0.0.1:{port}", "through the proxy of HTTP_PROXY", 3),
    ],
)
def test_a_proxy_that_fails_is_one_sentence_which_does_not_blame_the_service(
    latentry, monkeypatch, variable, value, sentence, expected
) -> None:
    monkeypatch.setenv(variable, value.format(port=free_port()))
    code, _, err = latentry("models", "--url", "http://gateway.test")
    assert code == expected
    assert sentence in err
    assert err.count("\n") == 1
    assert "latentry serve" not in err


def test_the_version_is_printed(latentry):
    assert latentry("--version")[1] == f"{__version__}\n"


def test_without_the_extra_it_prints_how_to_install_it():
    code = "import sys\nsys.modules['typer'] = None\nfrom latentry.cli import main\nmain()\n"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "The command line needs an extra: pip install 'latentry[cli]'\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_what_the_shell_closed_is_no_error(gateway, closed):
    command = shlex.join([sys.executable, "-m", "latentry", "models", "--url", gateway.url])
    ended = subprocess.run(["sh", "-c", f"{command} {closed}"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ("shapes" in ended.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_a_process_that_is_started_has_what_the_shell_closed():
    started = "import os; [os.fstat(number) for number in range(3)]"
    code = f"""import subprocess, sys; from latentry.cli import open_streams; open_streams()
subprocess.run([sys.executable, "-c", {started!r}], check=True)"""
    command = shlex.join([sys.executable, "-c", code])
    assert subprocess.run(["sh", "-c", f"{command} <&- >&- 2>&-"]).returncode == 0


def test_images_are_saved_though_nobody_reads_where(gateway, tmp_path):
    reads, writes = os.pipe()
    os.close(reads)  # as `| head` does after what it wants
    command = [sys.executable, "-m", "latentry", "generate", "a", "-n", "3", "-o", "out.png"]
    with open(writes, "w") as unread:
        ended = subprocess.run(
            [*command, "--url", gateway.url], cwd=tmp_path, stdout=unread, stderr=subprocess.PIPE
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert len(list(tmp_path.glob("out-*.png"))) == 3
