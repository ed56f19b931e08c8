"""ControlNets through the whole service: a file in a folder, a picture to follow, its pixels."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image, ImageDraw

from latentry.client import ApiError, Client
from latentry.contracts import Job, JobStatus, Output, OutputKind
from tests.e2e.conftest import SHAPES, settings_for
from tests.e2e.processes import Stack
from tests.valkey import Valkey
from tests.worker.engine.adapters.control.written import network, original, save

PROMPT = "a red circle on a blue background"
STEPS = 3


@pytest.fixture(scope="module")
def stack(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The bundled model, and a ControlNet of it with random weights."""
    folder = tmp_path_factory.mktemp("nets")
    unet = UNet2DConditionModel.from_pretrained(SHAPES / "unet", low_cpu_mem_usage=False)
    save(original(network(unet, 1, size=0.03)), folder / "Lines.safetensors")
    settings = settings_for(
        valkey, tmp_path_factory.mktemp("e2e"), "controls", threads="1", adapters=str(folder)
    )
    with Stack(settings) as running:
        running.start_worker()
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def photo() -> Image.Image:
    """A square on grey, of another size than what is drawn."""
    image = Image.new("RGB", (300, 200), "grey")
    ImageDraw.Draw(image).rectangle((60, 40, 200, 160), fill="yellow")
    return image


def pixels(client: Client, output: Output) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.download(output))).convert("RGB")).astype(int)


def drawn(client: Client, *controls: dict, **fields: object) -> Job:
    fixed = {"seed": 3, "determinism": "strict", "num_inference_steps": STEPS}
    return client.generate(PROMPT, model="shapes", controls=list(controls), **(fixed | fields))


def test_an_image_follows_its_picture_whose_edges_are_an_output(client: Client) -> None:
    edges = {"id": "lines", "image": photo(), "preprocess": "canny"}
    job, plain = drawn(client, edges, output_format="jpeg"), drawn(client, output_format="jpeg")
    assert np.abs(pixels(client, job.images[0]) - pixels(client, plain.images[0])).max() > 10

    [used] = job.request.controls
    assert (used.id, used.weight, used.preprocess) == ("Lines", 1.0, "canny")
    assert (used.image.width, used.image.height) == (300, 200)
    [shown] = [one for one in job.outputs if one.kind is OutputKind.CONTROL]
    assert (shown.name, shown.content_type) == ("control-1", "image/png")
    seen = pixels(client, shown)
    assert seen.shape == pixels(client, job.images[0]).shape
    assert set(np.unique(seen)) == {0, 255}, "edges are not blurred by a JPEG"
    assert len(job.images) == 1


def test_weight_0_is_absent_to_the_bit_and_shows_nothing(client: Client) -> None:
    job = drawn(client, {"id": "Lines", "image": photo(), "weight": 0.0})
    assert job.images[0].pixel_sha256 == drawn(client).images[0].pixel_sha256
    assert [one.kind for one in job.outputs] == [OutputKind.IMAGE]


def test_an_answer_s_request_draws_it_again(client: Client) -> None:
    control = {"id": "Lines", "image": photo(), "weight": 0.7, "end": 0.7, "mode": "control"}
    job = drawn(client, control, {"id": "Lines", "image": photo(), "preprocess": "invert"})
    again = client.generate(**job.request.model_dump(mode="json", exclude_none=True))
    assert again.request.controls == job.request.controls
    assert again.images[0].pixel_sha256 == job.images[0].pixel_sha256
    names = sorted(one.name for one in again.outputs)
    assert names == ["", "control-1", "control-2"]


def test_a_crowd_shares_calls_and_each_gets_its_own(client: Client) -> None:
    alone = drawn(client, {"id": "Lines", "image": photo()}).images[0].pixel_sha256
    picture = client.upload(_png(photo())).id
    jobs = [
        client.submit(
            PROMPT, model="shapes", seed=3 if k % 2 else k, determinism="strict",
            num_inference_steps=STEPS,
            controls=[{"id": "Lines", "image": picture}] if k % 2 else [],
        )
        for k in range(6)
    ]  # fmt: skip
    ends = [client.wait(job.id) for job in jobs]
    assert {one.status for one in ends} == {JobStatus.SUCCEEDED}
    assert {one.images[0].pixel_sha256 for one in ends[1::2]} == {alone}


def test_what_is_refused_names_its_field(client: Client) -> None:
    with pytest.raises(ApiError) as unknown:
        drawn(client, {"id": "depth", "image": photo()})
    assert (unknown.value.status, unknown.value.code) == (422, "unknown_adapter")
    with pytest.raises(ApiError) as broken:
        drawn(client, {"id": "Lines", "image": b"no picture"})
    assert [one.pointer for one in broken.value.errors or ()] == ["/controls/0/image"]


def test_the_catalogue_says_what_it_is(client: Client) -> None:
    [entry] = client.adapters().data
    assert (entry.id, entry.kind, entry.family) == ("Lines", "controlnet", "SD 1.x")
    assert entry.models == ("shapes",)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
