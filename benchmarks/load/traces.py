"""The requests of each trace: seeded, with every value in equal shares."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from benchmarks.load.ways import WAYS, Way
from latentry.contracts import Determinism, ResolvedRequest, Sampler
from latentry.rules.prompt_rows import prompt_rows

PROMPTS: Final = (
    "a red circle on a blue background",
    "a small yellow star at the top left of a purple background",
    "a green ring, white background",
    "an orange heart on a black background",
    "a large blue cross on a yellow background",
)
STEPS: Final = (10, 15, 20, 25, 30, 40, 50)
GUIDANCE: Final = (1.0, 2.0, 3.0, 5.0, 7.5)
SIDES: Final = (96, 128, 160)
SAMPLERS: Final = (Sampler.DDIM, Sampler.EULER, Sampler.EULER_A, Sampler.DPMPP_2M)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """One request of a trace, by the API's field names. `side`: width and height in pixels.

    way: the name of a way to make an image; empty for text to image. lora: the id of a LoRA, at its
    full weight; empty for none.
    """

    prompt: str
    seed: int
    num_inference_steps: int
    guidance_scale: float
    sampler: Sampler
    side: int
    determinism: Determinism = Determinism.FAST
    way: str = ""
    lora: str = ""

    @property
    def made(self) -> Way:
        """The way that it names."""
        return WAYS[self.way]

    @property
    def rows(self) -> int:
        """UNet rows per step."""
        return len(prompt_rows(self.request("any")))

    @property
    def steps(self) -> int:
        """Steps that are made: from a picture only some are."""
        return int(self.num_inference_steps * self.made.strength)

    @property
    def likeness(self) -> tuple[object, ...]:
        """What must be equal for requests to share a call of the stock pipeline."""
        same = self.num_inference_steps, self.guidance_scale, self.sampler, self.side, self.way
        return *same, self.lora

    def request(self, model: str) -> ResolvedRequest:
        """The request as the engine gets it, but for its LoRA, of which only the id is known."""
        fields = {
            "model": model,
            "prompt": self.prompt,
            "width": self.side,
            "height": self.side,
            "num_inference_steps": self.num_inference_steps,
            "guidance_scale": self.guidance_scale,
            "sampler": self.sampler,
            "seed": self.seed,
            "determinism": self.determinism,
        }
        return ResolvedRequest.model_validate(fields | self.made.fields(self.prompt, self.side))

    def plain(self) -> dict[str, Any]:
        """As plain values. Without what another checkout may not know, where it says nothing."""
        said = asdict(self).items()
        return {name: value for name, value in said if value or name not in ("way", "lora")}


def wish_of(fields: Mapping[str, Any]) -> Wish:
    """A wish from plain values, as they cross a process boundary."""
    named = {
        "sampler": Sampler(fields["sampler"]),
        "determinism": Determinism(fields["determinism"]),
    }
    return Wish(**{**fields, **named})


@dataclass(frozen=True, slots=True)
class Mix:
    """The values of a trace's requests, each as often as the others."""

    steps: Sequence[int] = (25,)
    guidance: Sequence[float] = (2.0,)
    samplers: Sequence[Sampler] = (Sampler.DDIM,)
    sides: Sequence[int] = (128,)
    determinism: Determinism = Determinism.FAST
    ways: Sequence[str] = ("",)
    loras: Sequence[str] = ("",)

    def wishes(self, seed: int = 0) -> Iterator[Wish]:
        """Endless requests; the same for the same seed."""
        # One random stream per field, so that traces differ only in the fields that they vary.
        chances = iter(random.Random(f"{seed}/{field}") for field in range(7))
        sampling = (self.steps, self.guidance, self.samplers, self.sides)
        streams = [
            _in_equal_shares(values, next(chances))
            for values in (PROMPTS, *sampling, self.ways, self.loras)
        ]
        for number, values in enumerate(zip(*streams, strict=True)):
            prompt, steps, guidance, sampler, side, *made = values
            yield Wish(prompt, number, steps, guidance, sampler, side, self.determinism, *made)

    def first(self, count: int, seed: int = 0) -> list[Wish]:
        """The first `count` of them."""
        return list(islice(self.wishes(seed), count))


MIXES: Final = {
    "uniform": Mix(),
    "steps": Mix(STEPS),
    "full": Mix(STEPS, GUIDANCE, SAMPLERS, SIDES),
    "full, one size": Mix(STEPS, GUIDANCE, SAMPLERS),
}

# Of one model and one size, so that all of them share calls.
MODES: Final = Mix(ways=tuple(WAYS))


def arrivals(rate_per_s: float, count: int, seed: int = 0) -> list[float]:
    """Arrival times of a Poisson process in seconds; another rate stretches the same pattern."""
    chance, now, times = random.Random(seed), 0.0, []
    for _ in range(count):
        now += chance.expovariate(1.0)
        times.append(now / rate_per_s)
    return times


def _in_equal_shares(values: Sequence[T], chance: random.Random) -> Iterator[T]:
    """Every value once, in a random order; then again in another."""
    while True:
        yield from chance.sample(values, len(values))
