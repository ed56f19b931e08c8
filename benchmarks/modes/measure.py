"""The rounds of trace *modes*."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.contenders.contender import Contender
from benchmarks.load import loops, samples
from benchmarks.load.traces import MIXES, MODES, Mix
from benchmarks.load.ways import WAYS
from benchmarks.modes.goals import PICTURES, ROW_STEPS, WAITS
from benchmarks.run import CALLERS

say = partial(print, flush=True)  # into files too


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything is measured."""

    rounds: int = 6
    window_s: float = 12.0
    warm_s: float = 2.0


async def measure(plan: Plan, engine: Contender, stock: Contender) -> dict[str, list[float]]:
    """One ratio of each round, and the waits of all rounds."""
    found: dict[str, list[float]] = {ROW_STEPS: [], PICTURES: [], WAITS: []}
    for number_of_round in range(plan.rounds):
        trials = await _trials(plan, number_of_round, engine, stock)
        plain, modes, theirs = (trials[name] for name in ("plain", "modes", "stock"))
        found[ROW_STEPS].append(_row_steps(modes) / _row_steps(plain))
        # The same pictures of both: in the long run, a ratio of steps is one of pictures.
        found[PICTURES].append(samples.pace(modes.samples, theirs.samples, plan.warm_s))
        found[WAITS] += [
            one.wait_steps for one in modes.samples if one.had_room and one.wait_steps is not None
        ]
        say(
            f"round {number_of_round + 1}: row-steps {found[ROW_STEPS][-1]:.3f}, "
            f"pictures {found[PICTURES][-1]:.3f}"
        )
    return found


async def _trials(
    plan: Plan, seed: int, engine: Contender, stock: Contender
) -> Mapping[str, loops.Trial]:
    parts: list[tuple[str, Contender, Mix]] = [
        ("plain", engine, MIXES["uniform"]),
        ("modes", engine, MODES),
        ("stock", stock, MODES),
    ]
    return {
        name: await _trial(plan, contender, mix, seed)
        for name, contender, mix in (parts if seed % 2 == 0 else parts[::-1])
    }


async def _trial(plan: Plan, contender: Contender, mix: Mix, seed: int) -> loops.Trial:
    """The closed loop, until a few pictures came after the warm-up."""

    def is_enough(trial: loops.Trial) -> bool:
        since_s = trial.begin_s + plan.warm_s
        return sum((one.ended_s or 0.0) > since_s for one in trial.samples) >= len(WAYS)

    return await loops.closed(
        contender,
        mix.wishes(seed=seed),
        callers=CALLERS,
        for_s=plan.warm_s + plan.window_s,
        is_enough=is_enough,
    )


def _row_steps(trial: loops.Trial) -> float:
    """A second, by the engine's own count of rows that were not padding."""
    return float(trial.counted["useful_rows"]) / (trial.end_s - trial.begin_s)
