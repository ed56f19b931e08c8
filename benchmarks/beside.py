"""This checkout beside another one: rates, single requests and start, new over old.

    python -m benchmarks.beside CHECKOUT [--rounds 8] [--seconds 10] [--boots 5] [--out FILE]
        [--new NAME=VALUE] [--old NAME=VALUE] [--only PART]

Each runs its own code in its own folder, with its own `.venv` if it has one, and is reached over
lines of JSON (`benchmarks.child`) and HTTP. Both get the same settings, precision and threads, but
for those that `--new` and `--old` name: `--new LATENTRY_DTYPE=auto --old LATENTRY_DTYPE=auto`
compares each at its own default, and `--new LATENTRY_COMPILE=on --only service` a service whose
UNet was compiled before. They take turns, each first in every other round, on the same requests of
trace *steps*.
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
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.contender import Contender, child
from benchmarks.contenders.service import compiled, running, service
from benchmarks.load import loops, samples
from benchmarks.load.interval import Interval
from benchmarks.load.traces import MIXES
from benchmarks.run import CALLERS, SINGLE
from benchmarks.tables import table
from latentry.cpus import usable_cpus
from worker.process.runtime import environment

Ratios = dict[str, list[float]]
say = partial(print, flush=True)  # into files too

RATE: Final = "image-steps per second"
SINGLE_S: Final = "seconds of a single request"
BOOT_S: Final = "seconds from start to ready"
PARTS: Final = ("engine", "service")
SIDE: Final = 128  # pixels of the pictures of trace *steps*


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything is measured."""

    rounds: int = 8
    window_s: float = 10.0
    boots: int = 5
    warm_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a working tree, and the settings that it is run with."""

    checkout: Checkout
    settings: Mapping[str, str]

    def engine(self, name: str) -> AbstractAsyncContextManager[Contender]:
        """Its step loop, in a process that is started as a worker is."""
        env = environment(os.environ | dict(self.settings))
        return child(name, "engine", env=env, checkout=self.checkout)

    def service(self, name: str) -> AbstractAsyncContextManager[Contender]:
        """Its whole service; its UNet is compiled before, if it is to be."""
        if self.settings["LATENTRY_COMPILE"] == "on":
            return compiled([SIDE], name, self.checkout, **self.settings)
        return service(name, self.checkout, **self.settings)


def settings_of(env: Mapping[str, str]) -> dict[str, str]:
    """What is equal on both sides, by the environment or else by these defaults."""
    defaults = {
        "LATENTRY_COMPILE": "off",
        "LATENTRY_DTYPE": "float32",
        "LATENTRY_THREADS": str(len(usable_cpus())),
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


async def boot_ratios(new: Side, old: Side, count: int) -> Ratios:
    """One ratio per pair of starts, each in an empty data folder."""
    found: Ratios = {BOOT_S: []}
    for order in turns("new", "old", count):
        took_s = {who: await _boot_s(new if who == "new" else old) for who in order}
        found[BOOT_S].append(took_s["new"] / took_s["old"])
        say(f"start: {took_s['new']:.2f} s, {took_s['old']:.2f} s")
    return found


async def _boot_s(side: Side) -> float:
    """Seconds until `latentry serve` can draw."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        async with running(Path(folder), side.checkout, **side.settings):
            return time.monotonic() - begin


async def measure(new: Side, old: Side, plan: Plan, parts: Sequence[str]) -> dict[str, Ratios]:
    """Engines first, then services, then starts: no process idles beside a measured one."""
    found: dict[str, Ratios] = {}
    if "engine" in parts:
        async with new.engine("new") as ours, old.engine("old") as theirs:
            found["engine"] = await load_ratios(ours, theirs, plan)
    if "service" in parts:
        async with new.service("new") as ours, old.service("old") as theirs:
            found["service"] = await load_ratios(ours, theirs, plan)
        if plan.boots:
            found["service"] |= await boot_ratios(new, old, plan.boots)
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
        f"new: {run['new']}{_words(run['only_new'])}",
        f"old: {run['old']}{_words(run['only_old'])}",
        f"machine: {run['machine']}",
        f"both:{_words(run['settings'])[1:]}; trace steps, {CALLERS} callers, "
        f"windows of {run['plan']['window_s']:g} s",
        "",
        *table(["new over old", "ratio", "95 % interval", "rounds"], rows),
    ]


def _words(settings: Mapping[str, str]) -> str:
    return "".join(f", {name}={value}" for name, value in settings.items())


def run(
    other: Path,
    plan: Plan,
    *,
    parts: Sequence[str] = PARTS,
    only_new: Mapping[str, str],
    only_old: Mapping[str, str],
) -> dict[str, Any]:
    """Measure this checkout beside the one in the folder."""
    old, settings = Checkout.at(other), settings_of(os.environ)
    sides = Side(HERE, settings | dict(only_new)), Side(old, settings | dict(only_old))
    return {
        "kind": "beside",
        "machine": f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} beforehand",
        "new": HERE.facts(),
        "old": old.facts(),
        "plan": asdict(plan),
        "settings": {
            name: value
            for name, value in settings.items()
            if not (name in only_new and name in only_old)
        },
        "only_new": dict(only_new),
        "only_old": dict(only_old),
        "ratios": asyncio.run(measure(*sides, plan, parts)),
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
    parser.add_argument("--new", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--old", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args(arguments)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    found = run(
        options.checkout,
        Plan(options.rounds, options.seconds, options.boots),
        parts=[options.only] if options.only else PARTS,
        only_new=dict(each.split("=", 1) for each in options.new),
        only_old=dict(each.split("=", 1) for each in options.old),
    )
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(["", *report(found)]))


if __name__ == "__main__":
    main()
