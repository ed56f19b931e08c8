"""Replay traces on a virtual clock: the engine's own loop and policy, and two other policies.

    make simulate       (or: python -m benchmarks.simulate --costs benchmarks/costs.json)

Costs come from a table, so it takes seconds for any model on any device. It shows what the policy
does with such costs, not how fast a device is.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.contenders.dynamic import next_group
from benchmarks.load import samples
from benchmarks.load.traces import GUIDANCE, SAMPLERS, Mix, Wish, arrivals
from benchmarks.report import simulation
from worker.batching import BatchKey, Costs
from worker.engine.loop import Done, Engine, Order
from worker.engine.simulated import VAE_FACTOR, Charge, Simulated, VirtualClock

MODEL: Final = "simulated"
CALLERS: Final = 32
CAPS: Final = (1, 2, 4, 8, 16, 32)
STEPS: Final = (20, 25, 28, 30, 40, 50)
PATIENCE: Final = 5.0
RATIO: Final = 1.07  # between neighbouring rates of arrivals


class Server(Protocol):
    """A policy with its own clock: takes wishes, and draws some of them in each turn."""

    clock: VirtualClock

    def submit(self, number: int, wish: Wish) -> None:
        """Take a wish."""

    def turn(self) -> list[int]:
        """Make the next call. Returns the numbers of the wishes it finished; none if idle."""


@dataclass(slots=True)
class Grouped:
    """Equal wishes in one call from start to end; a cap of one is one at a time."""

    charge: Charge
    cap: int
    clock: VirtualClock = field(default_factory=VirtualClock)
    waiting: list[tuple[int, Wish]] = field(default_factory=list)

    def submit(self, number: int, wish: Wish) -> None:
        """See Server."""
        self.waiting.append((number, wish))

    def turn(self) -> list[int]:
        """See Server."""
        if not self.waiting:
            return []
        group = next_group(self.waiting, lambda one: one[1].likeness, self.cap)
        self.waiting = [one for one in self.waiting if one not in group]
        self.clock.spend(together_s(self.charge, [wish for _, wish in group]))
        return [number for number, _ in group]


class StepLevel:
    """The engine that the worker runs, on a backend that only adds up costs."""

    def __init__(self, charge: Charge) -> None:
        self.clock = VirtualClock()
        self._engine = Engine(Simulated({MODEL: charge}, self.clock), Costs())
        while self._engine.calibrate():  # as a worker does before requests come
            pass
        self.clock.seconds = 0.0

    def submit(self, number: int, wish: Wish) -> None:
        """See Server."""
        self._engine.submit(Order(str(number), 0, wish.request(MODEL), wish.seed))

    def turn(self) -> list[int]:
        """See Server."""
        if self._engine.idle:
            return []
        return [int(event.job) for event in self._engine.step() if isinstance(event, Done)]


def together_s(charge: Charge, wishes: Sequence[Wish]) -> float:
    """Seconds to draw equal wishes in one call of a pipeline."""
    key, like = _key(wishes[0].side), wishes[0]
    call_s = charge.call(key, like.rows * len(wishes))
    return like.num_inference_steps * call_s + len(wishes) * charge.picture(key)


def closed(server: Server, wishes: Sequence[Wish], callers: int) -> float:
    """Seconds until all wishes are drawn, in a closed loop of so many callers."""
    coming = iter(enumerate(wishes))
    for number, wish in islice(coming, callers):
        server.submit(number, wish)
    left = len(wishes)
    while left:
        drawn = server.turn()
        left -= len(drawn)
        for number, wish in islice(coming, len(drawn)):
            server.submit(number, wish)
    return server.clock.now()


def keeps_up(
    server: Server, charge: Charge, wishes: Sequence[Wish], times: Sequence[float]
) -> bool:
    """Whether 99 % of the wishes take at most five times as long as alone, if they arrive then."""
    come, drawn, late = 0, 0, 0
    while drawn < len(wishes) and late <= samples.misses_allowed(len(wishes)):
        while come < len(wishes) and times[come] <= server.clock.now():
            server.submit(come, wishes[come])
            come += 1
        if come == drawn:  # idle until the next one comes
            server.clock.seconds = times[come]
            continue
        for number in server.turn():
            drawn += 1
            alone_s = together_s(charge, [wishes[number]])
            late += server.clock.now() - times[number] > PATIENCE * alone_s
    return drawn == len(wishes)


def serial_s(charge: Charge, wishes: Sequence[Wish]) -> float:
    """Seconds to draw them one at a time."""
    return sum(together_s(charge, [wish]) for wish in wishes)


def goodput(servers: Iterator[Server], charge: Charge, wishes: Sequence[Wish]) -> float:
    """The highest arrival rate that it keeps up with; 1 is one at a time without a pause."""
    rates = samples.ladder(0.1, 8.0, RATIO)
    good, bad = -1, len(rates)
    while bad - good > 1:
        rung = (good + bad) // 2
        times = arrivals(rates[rung] * len(wishes) / serial_s(charge, wishes), len(wishes))
        is_good = keeps_up(next(servers), charge, wishes, times)
        good, bad = (rung, bad) if is_good else (good, rung)
    return rates[good] if good >= 0 else 0.0


def mixes(side: int) -> dict[str, Mix]:
    """The traces of the performance notes, for a model of this native side."""
    guidance = (*GUIDANCE[1:], 9.0, 12.0)
    return {
        "uniform": Mix((30,), sides=(side,)),
        "steps": Mix(STEPS, sides=(side,)),
        "full": Mix(STEPS, guidance, SAMPLERS[:3], (side, side * 3 // 4)),
    }


def compare(charge: Charge, wishes: Sequence[Wish]) -> dict[str, Any]:
    """Throughput and goodput of the three policies, over one at a time in the closed loop."""
    found: dict[str, dict[str, float]] = {}
    for name, servers in _policies(charge).items():
        throughput = serial_s(charge, wishes) / closed(next(servers), wishes, CALLERS)
        found[name] = {"throughput": throughput, "goodput": goodput(servers, charge, wishes)}
    capped = [found.pop(f"dynamic {cap}") for cap in CAPS]
    found["dynamic"] = {what: max(each[what] for each in capped) for what in capped[0]}
    return found


def _policies(charge: Charge) -> dict[str, Iterator[Server]]:
    """For each policy, an endless supply of new servers."""

    def grouped(cap: int) -> Iterator[Server]:
        while True:
            yield Grouped(charge, cap)

    def step_level() -> Iterator[Server]:
        while True:
            yield StepLevel(charge)

    dynamic = {f"dynamic {cap}": grouped(cap) for cap in CAPS}
    return {"serial": grouped(1), **dynamic, "step-level": step_level()}


def read_costs(file: Path) -> dict[str, tuple[int, Charge]]:
    """Native side in pixels and charge of every model in a file of costs."""
    found = {}
    for name, costs in json.loads(file.read_text())["models"].items():
        fields = dict(costs)
        side = fields.pop("side")
        found[name] = side, Charge(area=(side // VAE_FACTOR) ** 2, **fields)
    return found


def _key(side: int) -> BatchKey:
    return BatchKey(MODEL, side // VAE_FACTOR, side // VAE_FACTOR, 1)


def main() -> None:
    """Print the table and write the JSON that it is made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", type=Path, default=Path(__file__).with_name("costs.json"))
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/simulate.json"))
    options = parser.parse_args()
    models: dict[str, Mapping[str, Any]] = {}
    for name, (side, charge) in read_costs(options.costs).items():
        models[name] = {
            trace: compare(charge, mix.first(options.requests))
            for trace, mix in mixes(side).items()
        }
    run = {
        "kind": "simulation",
        "callers": CALLERS,
        "patience": PATIENCE,
        "requests": options.requests,
        "costs": options.costs.name,
        "models": models,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(run, indent=1))
    print("\n".join(simulation(run)))


if __name__ == "__main__":
    main()
