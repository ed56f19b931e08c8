"""Upscales beside the step loop, in virtual time: both get their share, and neither starves."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentry.contracts import InputFile, ResolvedUpscale, UpscalerCard
from latentry.contracts.upscales import LANCZOS
from latentry.errors import EngineError
from tests.worker.engine import tiny
from worker.engine.background.backend import Background
from worker.engine.background.clock import Clock
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import BackgroundOrder, Canceled, Done, Engine, Failed, Step
from worker.engine.loop.backend import Taken
from worker.engine.loop.router import BackendRouter
from worker.engine.loop.waiting_orders import MOST_IN_BACKGROUND
from worker.engine.simulated import Charge, Simulated, VirtualClock
from worker.engine.upscaling.upscaler import Upscaler

SLOWEST = 1.15  # times as long as without an upscale, a step may be
LEAST = 0.1  # of the time, for the upscale


@dataclass
class Slow(Upscaler):
    """An upscaler whose calls take this long, and `first_s` more the first time."""

    clock: VirtualClock
    call_s: float
    first_s: float = 0.0
    id: str = "slow"
    fails: bool = False
    spent_s: float = 0.0
    profile: str = "simulated"
    is_done: bool = False
    test_s: float = 0.0
    timer: Clock = field(init=False)
    card: UpscalerCard = field(init=False)

    def __post_init__(self) -> None:
        self.timer = Clock(self.clock.now)
        self.card = UpscalerCard(
            id=self.id, architecture="none", scale=4, default_scale=4, created=0, tile=160
        )

    def begin(self, request, picture):
        return self

    def make(self, call: int) -> None:
        if self.fails:
            raise EngineError("as it is told")
        seconds, self.first_s = self.call_s + self.first_s, 0.0
        self.spent_s += seconds
        self.clock.spend(seconds)

    def take(self) -> Taken:
        return Taken([np.zeros((4, 4, 3), np.uint8)])


def upscale(job: str = "large", side: int = 10_000, id: str = "slow") -> BackgroundOrder:
    image = InputFile(file="file_1", pixel_sha256="", width=side, height=160)
    request = ResolvedUpscale(image=image, scale=4, upscaler=id, steps=1000)
    return BackgroundOrder(job, 0, request, 0, canvas=Canvas(np.zeros((4, 4, 3), np.uint8)))


def engine(step: Charge, *upscalers: Slow, clock: VirtualClock) -> Engine:
    simulated, upscaling = Simulated({"epsilon": step}, clock), Background(upscalers, clock.now)
    routes = {"epsilon": simulated} | {one.card.queue: upscaling for one in upscalers}
    return Engine(BackendRouter(routes))


def steps_of(engine: Engine, job: str, *, most: int = 100_000) -> int:
    """Step until this job's image has made all of its steps; how many the engine took."""
    count = 0
    while count < most:
        count += 1
        for event in engine.step():
            if isinstance(event, Step) and event.job == job and event.step == event.steps:
                return count
    raise AssertionError("it starves")


def test_until_a_first_call_has_ended_no_other_is_made_beside_a_step() -> None:
    """What it takes is guessed until then: twelve of a large network's stood in one step's way."""
    clock = VirtualClock()
    tile = Slow(clock, call_s=2.7)
    one = engine(Charge(call_s=3.5, row_s=0.01, area=64), tile, clock=clock)
    one.submit(tiny.order("image", model="epsilon", num_inference_steps=60))
    for _ in range(5):
        one.step()
    one.submit(upscale())
    made = []
    for _ in range(30):
        one.step()
        made.append(one.last_step.background)
    assert max(made) == 1
    assert sum(made) * tile.call_s >= LEAST * 30 * 3.5 - tile.call_s


@settings(max_examples=25)
@given(
    call_s=st.floats(0.01, 0.2),
    tiles_a_step=st.floats(0.2, 50),
    steps=st.integers(1, 4),
    first=st.floats(0, 5),
)
def test_both_get_their_share(call_s: float, tiles_a_step: float, steps: int, first: float) -> None:
    """Whatever is longer, a step or a tile; and whatever a first call takes."""
    clock = VirtualClock()
    charge = Charge(call_s=call_s, row_s=call_s / 10, area=64)
    tile = Slow(clock, call_s / tiles_a_step, first_s=first * call_s)
    one = engine(charge, tile, clock=clock)
    for _ in range(3):
        one.calibrate()
    one.submit(upscale(side=300_000))
    one.submit(tiny.order("image", model="epsilon", num_inference_steps=300 + steps))
    while not any(isinstance(event, Step) and event.job == "image" for event in one.step()):
        pass
    began, spent = clock.now(), tile.spent_s
    count = steps_of(one, "image")
    took, background = clock.now() - began, tile.spent_s - spent
    plain_s = took - background
    longest_tile_s = tile.call_s * 2 + first * call_s
    assert took <= SLOWEST * plain_s + longest_tile_s, count
    assert background >= LEAST * took - longest_tile_s


def test_with_nothing_else_to_do_it_gets_all_the_time() -> None:
    clock = VirtualClock()
    tile = Slow(clock, 0.3)
    one = engine(Charge(0.05, 0.01, area=64), tile, clock=clock)
    one.submit(upscale(side=2_000))
    began, spent = clock.now(), tile.spent_s
    while not any(isinstance(event, Done) for event in one.step()):
        pass
    assert clock.now() - began == pytest.approx(tile.spent_s - spent)


def test_a_tile_longer_than_a_step_waits_until_steps_have_earned_it() -> None:
    clock = VirtualClock()
    tile = Slow(clock, 1.0)
    one = engine(Charge(0.05, 0.0, area=64), tile, clock=clock)
    one.submit(tiny.order("image", model="epsilon", num_inference_steps=500))
    one.step()
    one.submit(upscale())
    alone = 0
    while tile.spent_s < 2.0:  # the first one is estimated, the second measured
        one.step()
        alone += 1
    between = 0
    while tile.spent_s < 3.0:
        one.step()
        between += 1
    assert between * 0.05 >= 1.0 / 0.15, "no tile on credit"


def test_two_upscales_take_turns_and_others_wait() -> None:
    clock = VirtualClock()
    tile = Slow(clock, 0.1)
    one = engine(Charge(0.05, 0.0, area=64), tile, clock=clock)
    for job in ("a", "b", "c"):
        one.submit(upscale(job, side=1_000))
    assert one.background_room == MOST_IN_BACKGROUND + 1 - 3
    made: list[str] = []
    for _ in range(6):
        made += [event.job for event in one.step() if isinstance(event, Step)]
    assert set(made) == {"a", "b"}
    assert abs(made.count("a") - made.count("b")) <= 1


def test_upscales_take_no_room_from_images_nor_they_from_upscales() -> None:
    clock = VirtualClock()
    one = engine(Charge(0.05, 0.01, area=64), Slow(clock, 0.1), clock=clock)
    room = one.room
    assert (room > 2, one.background_room) == (True, MOST_IN_BACKGROUND + 1)
    one.submit(upscale())
    one.step()
    assert (one.room, one.background_room, one.rows) == (room, MOST_IN_BACKGROUND, 0)
    for k in range(room + 5):
        one.submit(tiny.order(f"image {k}", model="epsilon", num_inference_steps=50))
    one.step()
    assert one.background_room == MOST_IN_BACKGROUND


def test_it_is_canceled_between_two_calls() -> None:
    clock = VirtualClock()
    tile = Slow(clock, 0.1)
    one = engine(Charge(0.05, 0.0, area=64), tile, clock=clock)
    one.submit(upscale())
    one.step()
    spent = tile.spent_s
    one.drop("large")
    assert [type(event) for event in one.step()] == [Canceled]
    assert one.idle
    assert tile.spent_s == spent


def test_what_fails_ends_alone() -> None:
    clock = VirtualClock()
    bad, good = Slow(clock, 0.1, id="bad", fails=True), Slow(clock, 0.1, id="good")
    one = engine(Charge(0.05, 0.0, area=64), bad, good, clock=clock)
    one.submit(upscale("a", side=300, id="bad"))
    one.submit(upscale("b", side=300, id="good"))
    one.submit(tiny.order("image", model="epsilon", num_inference_steps=5))
    ended = {}
    while not one.idle:
        for event in one.step():
            if isinstance(event, Done | Failed):
                ended[event.job] = type(event)
    assert ended == {"a": Failed, "b": Done, "image": Done}


def test_what_failed_takes_nothing_from_those_that_come_later() -> None:
    clock = VirtualClock()
    bad, good = Slow(clock, 0.1, id="bad", fails=True), Slow(clock, 0.1, id="good")
    one = engine(Charge(0.05, 0.0, area=64), bad, good, clock=clock)
    one.submit(tiny.order("image", model="epsilon", num_inference_steps=900))
    for job in range(50):
        one.submit(upscale(f"bad {job}", side=300, id="bad"))
    failed = 0
    while failed < 50:
        failed += sum(isinstance(event, Failed) for event in one.step())
    one.submit(upscale("good", id="good"))
    began = clock.now()
    steps_of(one, "image")
    assert good.spent_s >= LEAST * (clock.now() - began) - 2 * good.call_s


def test_nothing_is_saved_of_it() -> None:
    clock = VirtualClock()
    one = engine(Charge(0.05, 0.0, area=64), Slow(clock, 0.1), clock=clock)
    one.submit(upscale())
    one.step()
    assert one.save("large") == []


def test_its_pace_is_by_the_pixels_it_makes() -> None:
    clock = VirtualClock()
    one = engine(Charge(0.05, 0.0, area=64), Slow(clock, 0.25), clock=clock)
    one.submit(upscale(side=2_000))
    while not one.idle:
        one.step()
    pace = one.paces()["upscaler/slow"]
    assert pace.step_megapixel_s == pytest.approx(0.25 / (640 * 640 / 1e6))
    assert LANCZOS not in one.paces()
