"""What a tool's libraries raise ends its own job, with a code, and nobody else's."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image

from latentry.contracts import InputFile, ResolvedUpscale, UpscalerCard
from tests.worker.engine import tiny
from tests.worker.engine.test_preprocessing import order as control
from tests.worker.engine.test_preprocessing import picture
from worker.engine.background.backend import Background
from worker.engine.background.clock import Clock
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import BackgroundOrder, Done, Engine, Event, Failed
from worker.engine.loop.backend import Taken
from worker.engine.loop.router import BackendRouter
from worker.engine.preprocessing import Preprocessors
from worker.engine.simulated import Charge, Simulated, WallClock
from worker.engine.upscaling.lanczos import Lanczos
from worker.engine.upscaling.upscaler import Upscaler


@dataclass
class Failing(Upscaler):
    """An upscaler of which this method raises that."""

    method: str
    error: Exception
    made: list[int] = field(default_factory=list)
    is_done: bool = False
    test_s: float = 0.0
    profile: str = "none"
    timer: Clock = field(default_factory=Clock)
    card: UpscalerCard = field(
        default_factory=lambda: UpscalerCard(
            id="failing", architecture="none", scale=2, default_scale=2, created=0
        )
    )

    def _raise_in(self, method: str) -> None:
        if method == self.method:
            raise self.error

    def calls(self, request):
        self._raise_in("calls")
        return super().calls(request)

    def begin(self, request, picture):
        self._raise_in("begin")
        return self

    def make(self, call: int) -> None:
        self.made.append(call)
        self._raise_in("make")

    def take(self) -> Taken:
        self._raise_in("take")
        return Taken([np.zeros((4, 4, 3), np.uint8)])


def upscale(job: str, id: str, width: int = 40, height: int = 20) -> BackgroundOrder:
    image = InputFile(file="file_1", pixel_sha256="", width=width, height=height)
    request = ResolvedUpscale(image=image, scale=2, upscaler=id)
    return BackgroundOrder(job, 0, request, 0, canvas=Canvas(picture(40, 24)))


def engine(*tools) -> Engine:
    clock = WallClock()
    background = Background(tools, clock.now)
    simulated = Simulated({"epsilon": Charge(0.001, 0.001, area=64)}, clock)
    return Engine(
        BackendRouter({"epsilon": simulated} | {one.card.queue: background for one in tools})
    )


def ends(running: Engine) -> dict[str, Event]:
    found = {}
    while not running.idle:
        found |= {one.job: one for one in running.step() if isinstance(one, Done | Failed)}
    return found


ERRORS = {
    "the host's memory": (MemoryError(), "out_of_memory"),
    "the device's memory": (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
    "a library's error": (ValueError("cannot reshape array"), "engine_error"),
}


@pytest.mark.parametrize("method", ["calls", "begin", "make", "take"])
@pytest.mark.parametrize(("error", "code"), ERRORS.values(), ids=ERRORS)
def test_it_ends_that_job_with_a_code_and_the_worker_goes_on(method, error, code) -> None:
    failing = Failing(method, error)
    running = engine(failing, Lanczos())
    running.submit(upscale("bad", "failing"))
    running.submit(upscale("good", "lanczos"))
    running.submit(tiny.order("image", model="epsilon", num_inference_steps=3))
    found = ends(running)
    assert {job: type(one) for job, one in found.items()} == {
        "bad": Failed,
        "good": Done,
        "image": Done,
    }
    assert found["bad"].error.code == code
    assert failing.made == ([] if method in ("calls", "begin") else [0]), "no call is made twice"


@pytest.mark.parametrize("method", ["begin", "make", "take"])
def test_after_what_leaves_the_device_unusable_the_worker_ends(method) -> None:
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    running = engine(Failing(method, error))
    running.submit(upscale("bad", "failing"))
    with pytest.raises(torch.AcceleratorError):
        ends(running)


def test_one_of_which_there_is_nothing_to_make_ends_by_itself() -> None:
    """As of a record that was changed by hand."""
    running = engine(Lanczos())
    running.submit(upscale("bad", "lanczos", 0, 0))
    running.submit(upscale("good", "lanczos"))
    found = ends(running)
    assert found["bad"].error.code == "engine_error"
    assert isinstance(found["good"], Done)


@pytest.mark.parametrize("tool", ["lanczos", "controls"])
def test_so_do_the_tools_that_are_always_there(tool, monkeypatch) -> None:
    running = engine(Lanczos(), Preprocessors())
    good, bad = {
        "lanczos": (upscale("good", "lanczos"), upscale("bad", "lanczos")),
        "controls": tuple(
            control(picture(), job, preprocess="canny", width=96) for job in ("good", "bad")
        ),
    }[tool]

    def refuse(*_args, **_options):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "resize", refuse)
        running.submit(bad)
        assert ends(running)["bad"].error.code == "out_of_memory"
    running.submit(good)
    assert isinstance(ends(running)["good"], Done)
