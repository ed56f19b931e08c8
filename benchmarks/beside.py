"""This checkout beside another one: rates, single requests and start, new over old.

    python -m benchmarks.beside CHECKOUT [--rounds 8] [--seconds 10] [--boots 5] [--out FILE]

Each runs its own code in its own folder, with its own `.venv` if it has one, and is reached over
lines of JSON (`benchmarks.child`) and HTTP. Both get the same settings, precision and threads.
They take turns, each first in every other round, on the same requests of trace *steps*.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.contender import Contender, child
from benchmarks.contenders.service import running, service
from benchmarks.load import loops, samples
from benchmarks.load.interval import Interval
from benchmarks.load.traces import MIXES
from benchmarks.run import CALLERS, SINGLE
from benchmarks.tables import table
from worker.process.runtime import environment

Ratios = dict[str, list[float]]
say = partial(print, flush=True)  # into files too

RATE: Final = "image-steps per second"
SINGLE_S: Final = "seconds of a single request"
BOOT_S: Final = "seconds from start to ready"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything is measured."""

    rounds: int = 8
    window_s: float = 10.0
    boots: int = 5
    warm_s: float = 2.0


def settings_of(env: Mapping[str, str]) -> dict[str, str]:
    """What must be equal on both sides, by the environment or else by these defaults."""
    defaults = {
        "LATENTRY_COMPILE": "off",
        "LATENTRY_DTYPE": "float32",
        "LATENTRY_THREADS": str(len(os.sched_getaffinity(0))),
    }
    return {name: env.get(name, value) for name, value in defaults.items()}


def turns(new: Any, old: Any, count: int) -> list[tuple[Any, Any]]:
    """The order within each round: A B, B A, A B … so that neither profits from a slow drift."""
    return [(new, old) if number % 2 == 0 else (old, new) for number in range(count)]


async def load_ratios(new: Contender, old: Contender, plan: Plan) -> Ratios:
    """One ratio per round of the rates in a closed loop, and one of the single requests' times.

    Raises RuntimeError where a window is too short for a rate.
    """
    found: Ratios = {RATE: [], SINGLE_S: []}
    for contender in (new, old):
        await _single_s(contender)  # warms up
        await contender.clear()
    for number, order in enumerate(turns(new, old, plan.rounds)):
        trials = {contender: await _window(contender, number, plan) for contender in order}
        single_s = {contender: await _single_s(contender) for contender in order}
        rate = samples.pace(trials[new].samples, trials[old].samples, plan.warm_s)
        if math.isnan(rate):
            raise RuntimeError("The windows have no pictures in common; measure for longer.")
        found[RATE].append(rate)
        found[SINGLE_S].append(single_s[new] / single_s[old])
        say(f"round {number + 1}: rate {rate:.3f}, single request {found[SINGLE_S][-1]:.3f}")
    return found


async def _window(contender: Contender, seed: int, plan: Plan) -> loops.Trial:
    """The closed loop, until as many pictures as there are callers came after the warm-up."""

    def is_enough(trial: loops.Trial) -> bool:
        since_s = trial.begin_s + plan.warm_s
        return sum((s.ended_s or 0.0) > since_s for s in trial.samples) >= CALLERS

    wishes, for_s = MIXES["steps"].wishes(seed=seed), plan.warm_s + plan.window_s
    return await loops.closed(contender, wishes, callers=CALLERS, for_s=for_s, is_enough=is_enough)


async def _single_s(contender: Contender) -> float:
    """Seconds for one picture after the other, one of each step count."""
    begin = time.monotonic()
    for wish in SINGLE:
        await contender.draw(wish)
    return time.monotonic() - begin


async def boot_ratios(
    new: Checkout, old: Checkout, settings: Mapping[str, str], count: int
) -> Ratios:
    """One ratio per pair of starts, each in an empty data folder."""
    found: Ratios = {BOOT_S: []}
    for order in turns(new, old, count):
        took_s = {checkout: await _boot_s(checkout, settings) for checkout in order}
        found[BOOT_S].append(took_s[new] / took_s[old])
        say(f"start: {took_s[new]:.2f} s, {took_s[old]:.2f} s")
    return found


async def _boot_s(checkout: Checkout, settings: Mapping[str, str]) -> float:
    """Seconds until `latentry serve` can draw."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        async with running(Path(folder), checkout, **settings):
            return time.monotonic() - begin


async def measure(
    new: Checkout, old: Checkout, plan: Plan, settings: Mapping[str, str]
) -> dict[str, Ratios]:
    """Engines first, then services, then starts: no process idles beside a measured one."""
    found: dict[str, Ratios] = {}
    env = environment(os.environ | dict(settings))  # as a worker's process is started
    async with (
        child("new", "engine", env=env, checkout=new) as new_engine,
        child("old", "engine", env=env, checkout=old) as old_engine,
    ):
        found["engine"] = await load_ratios(new_engine, old_engine, plan)
    async with (
        service("new", new, **settings) as new_service,
        service("old", old, **settings) as old_service,
    ):
        found["service"] = await load_ratios(new_service, old_service, plan)
    found["service"] |= await boot_ratios(new, old, settings, plan.boots)
    return found


def report(run: Mapping[str, Any]) -> list[str]:
    """The ratios with their intervals, in lines."""
    rows = []
    for part, ratios in run["ratios"].items():
        for name, each in ratios.items():
            found = Interval.of(each)
            span = f"{found.low:.3f} to {found.high:.3f}"
            rows.append([f"{part}: {name}", f"{found.ratio:.3f}", span, str(len(each))])
    return [
        f"new: {run['new']}",
        f"old: {run['old']}",
        f"machine: {run['machine']}",
        f"both: {', '.join(f'{name}={value}' for name, value in run['settings'].items())}; "
        f"trace steps, {CALLERS} callers, windows of {run['plan']['window_s']:g} s",
        "",
        *table(["new over old", "ratio", "95 % interval", "rounds"], rows),
    ]


def run(other: Path, plan: Plan) -> dict[str, Any]:
    """Measure this checkout beside the one in the folder."""
    old, settings = Checkout.at(other), settings_of(os.environ)
    return {
        "kind": "beside",
        "machine": f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} beforehand",
        "new": HERE.facts(),
        "old": old.facts(),
        "plan": asdict(plan),
        "settings": settings,
        "ratios": asyncio.run(measure(HERE, old, plan, settings)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ratios; with `--out`, write the JSON that they come from."""
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="the folder of the other one")
    parser.add_argument("--rounds", type=int, default=plan.rounds)
    parser.add_argument("--seconds", type=float, default=plan.window_s, help="of each window")
    parser.add_argument("--boots", type=int, default=plan.boots, help="starts of each service")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    found = run(options.checkout, Plan(options.rounds, options.seconds, options.boots))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(["", *report(found)]))


if __name__ == "__main__":
    main()
