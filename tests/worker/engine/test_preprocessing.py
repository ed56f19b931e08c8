"""Control pictures by themselves: the bits that ControlNets are shown, in calls beside steps."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from latentry.contracts import Control, InputFile, Preprocess, ResizeMode, ResolvedControl
from latentry.rules.preprocessing import control_calls
from tests.worker.engine import tiny
from worker.batching import Costs
from worker.engine import preprocessing
from worker.engine.background.backend import Background
from worker.engine.inputs.canny import ridges
from worker.engine.inputs.canvas import Canvas, Pixels
from worker.engine.inputs.control import control_pictures
from worker.engine.loop import BackgroundOrder, Done, Engine, Step
from worker.engine.loop.router import BackendRouter
from worker.engine.preprocessing import Preprocessors


def picture(width: int = 200, height: int = 120) -> Pixels:
    cells = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def engine() -> Engine:
    background = Background([Preprocessors()])
    return Engine(BackendRouter({card.queue: background for card in background.cards}))


def order(pixels: Pixels, job: str = "job", **fields) -> BackgroundOrder:
    height, width = pixels.shape[:2]
    image = InputFile(file="file_1", pixel_sha256="1", width=width, height=height)
    request = ResolvedControl(image=image, **{"width": width, "height": height} | fields)
    request = request.model_copy(update={"steps": len(control_calls(request))})
    return BackgroundOrder(job, 0, request, 0, canvas=Canvas.of(request, {"image": pixels}))


def made(*orders: BackgroundOrder) -> tuple[dict[str, Done], list[Step]]:
    running, found, steps = engine(), dict[str, Done](), list[Step]()
    for one in orders:
        running.submit(one)
    for _ in range(1000):
        for event in running.step():
            if isinstance(event, Done):
                found[event.job] = event
            elif isinstance(event, Step):
                steps.append(event)
        if len(found) == len(orders):
            return found, steps
    raise AssertionError("it never ends")


@pytest.mark.parametrize("mode", ResizeMode)
@pytest.mark.parametrize("preprocess", Preprocess)
def test_it_is_what_a_controlnet_is_shown_at_that_size(preprocess, mode) -> None:
    fields = {"preprocess": preprocess, "resize_mode": mode, "thresholds": (60, 150)}
    alone = order(picture(), width=64, height=96, **fields)
    found, _ = made(alone)
    request = tiny.order(width=64, height=96).request
    control = Control(id="lines", image=alone.request.image, sha256="1" * 64, **fields)
    [expected] = control_pictures(control, picture(), request, None)
    assert np.array_equal(found["job"].pixels, expected)
    assert found["job"].profile


def test_a_large_one_is_made_in_strips_each_of_which_is_a_step() -> None:
    large = picture(1040, 800)
    one = order(large, preprocess=Preprocess.CANNY)
    found, steps = made(one)
    assert len(control_calls(one.request)) == 5
    assert [step.step for step in steps] == [1, 2, 3, 4, 5]
    whole = Control(id="l", image=one.request.image, preprocess="canny", sha256="1" * 64)
    request = tiny.order(width=1040, height=800).request
    [expected] = control_pictures(whole, large, request, None)
    assert np.array_equal(found["job"].pixels, expected)


def test_what_is_transparent_is_white() -> None:
    clear = np.zeros((16, 16, 4), np.uint8)
    found, _ = made(order(clear, preprocess=Preprocess.NONE))
    assert (found["job"].pixels == 255).all()


def test_neighbours_change_nothing() -> None:
    several = {
        one.value: order(picture(), one.value, preprocess=one, width=96) for one in Preprocess
    }
    together, _ = made(*several.values())
    for name, one in several.items():
        assert np.array_equal(together[name].pixels, made(one)[0][name].pixels)


def test_its_pace_is_that_of_looking_for_edges_whatever_else_is_made(monkeypatch) -> None:
    """Calls that do next to nothing are of as many pixels, and would make all controls free."""
    elapsed = [0.0]

    def slow(*args):
        elapsed[0] += 0.2
        return ridges(*args)

    monkeypatch.setattr(preprocessing, "ridges", slow)
    background = Background([Preprocessors(lambda: elapsed[0])])
    running = Engine(BackendRouter({card.queue: background for card in background.cards}))
    for kind in (Preprocess.CANNY, Preprocess.CANNY, Preprocess.NONE, Preprocess.INVERT):
        running.submit(order(picture(512, 512), preprocess=kind))
        while not any(isinstance(event, Done) for event in running.step()):
            pass
    [pace] = running.paces().values()
    assert pace.step_megapixel_s == pytest.approx(0.2 / 0.262144)


def test_calls_that_do_different_things_are_told_apart_whatever_their_size() -> None:
    """To resize one takes long, and to leave it as it is nothing: one would hide the other."""
    background = Background([Preprocessors()])
    small, large = picture(64, 32), picture(512, 512)
    for one in (
        order(large, preprocess=Preprocess.CANNY, width=500),
        order(small, preprocess=Preprocess.INVERT, width=64, height=64, resize_mode="pad"),
        order(small, preprocess=Preprocess.NONE),
    ):
        trajectory, _ = background.begin(one, background.plan(one))
        calls = control_calls(one.request)
        operations = {
            call.operation: key.operation for call, key in zip(calls, trajectory.keys, strict=True)
        }
        assert operations == {
            operation: "" if operation == "edges" else operation for operation in operations
        }
    edges, rows = (replace(trajectory.key, operation=operation) for operation in ("", "rows"))
    for known, other in ((edges, rows), (rows, edges)):
        costs = Costs()
        for _ in range(2):
            costs.observe(known, 1, 9.0)
        assert costs.cheapest(other) is None, "nothing is known of them so far"
        assert costs.seconds(other, 1) < 1.0
