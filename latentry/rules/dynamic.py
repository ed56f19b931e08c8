"""Dynamic prompts: `__wildcard__` and `{a|b}` drawn by lot, in dynamicprompts' syntax.

Its documented core: wildcards with `*` and `?`, nested variants, weights, counts, separators. What
else it knows is refused by name. Its library (0.31) needs two more packages, and bounds nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import accumulate
from random import Random
from typing import Final

from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.errors import InvalidPrompt
from latentry.rules.dynamic_syntax import Option, Sequel, Variants, Wildcard, parse
from latentry.rules.styles import hint

MAX_DEPTH: Final = 16
# Characters read and options looked at. A prompt of the greatest length takes a twentieth.
MAX_WORK: Final = 200_000

Wildcards = Mapping[str, tuple[str, ...]]


def drawn(text: str, wildcards: Wildcards, *, seed: int, name: str) -> str:
    """The text with every wildcard and variant drawn; equal arguments give equal texts.

    `name`: of the field, whose lots do not depend on what other fields have. Raises InvalidPrompt.
    """
    try:
        found = _Draw(wildcards, Random(f"{seed} {name}")).text(text, 0)  # noqa: S311
        if len(found) > MAX_PROMPT_CHARS:
            raise InvalidPrompt(f"What was drawn is longer than {MAX_PROMPT_CHARS} characters.")
    except InvalidPrompt as error:
        raise InvalidPrompt(error.message, fields={f"/{name}": error.message}) from None
    return found


class _Draw:
    """One drawing. Of the random numbers only `random()` is used, which no Python changes."""

    def __init__(self, wildcards: Wildcards, chance: Random) -> None:
        self._wildcards = wildcards
        self._chance = chance
        self._work = 0

    def text(self, text: str, depth: int) -> str:
        """The text with what stands in it drawn."""
        if depth > MAX_DEPTH:
            raise InvalidPrompt(f"Wildcards lead to each other more than {MAX_DEPTH} times.")
        self._spend(len(text))
        return self._sequel(parse(text), depth)

    def _sequel(self, sequel: Sequel, depth: int) -> str:
        parts = []
        for one in sequel:
            match one:
                case Wildcard():
                    values = self._values(one)
                    parts.append(self.text(values[self._index(len(values))], depth + 1))
                case Variants():
                    parts.append(self._variants(one, depth))
                case text:
                    parts.append(text)
        return "".join(parts)

    def _variants(self, variants: Variants, depth: int) -> str:
        options = list(variants.options)
        match options:
            case [Option(sequel=(Wildcard() as wildcard,))]:  # so many of its values
                values = self._values(wildcard)
                self._spend(len(values))
                chosen = self._choose([1.0] * len(values), variants)
                return variants.separator.join(self.text(values[i], depth + 1) for i in chosen)
        chosen = self._choose([option.weight for option in options], variants)
        return variants.separator.join(self._sequel(options[i].sequel, depth) for i in chosen)

    def _choose(self, weights: list[float], variants: Variants) -> list[int]:
        """As many places as are asked for, or as there are; none twice."""
        possible = sum(weight > 0 for weight in weights)
        least, most = min(variants.least, possible), min(variants.most, possible)
        chosen = []
        for _ in range(least + self._index(most - least + 1)):
            self._spend(len(weights))
            sums = list(accumulate(weights))
            last = bisect_left(sums, sums[-1])  # that has a weight: rounding may lead past it
            place = min(bisect_right(sums, self._chance.random() * sums[-1]), last)
            chosen.append(place)
            weights[place] = 0.0
        return chosen

    def _values(self, wildcard: Wildcard) -> Sequence[str]:
        values = self._wildcards.get(wildcard.name)
        if values is None and set(wildcard.name) & set("*?"):
            self._spend(len(self._wildcards))
            names = [name for name in self._wildcards if fnmatchcase(name, wildcard.name)]
            values = tuple(value for name in sorted(names) for value in self._wildcards[name])
            self._spend(len(values))
        if not values:
            near = hint(wildcard.name, self._wildcards)
            raise InvalidPrompt(f"There is no wildcard __{wildcard.name}__{near}")
        return values

    def _index(self, count: int) -> int:
        return int(self._chance.random() * count)

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise InvalidPrompt("Drawing the wildcards and variants of this prompt takes too long.")
