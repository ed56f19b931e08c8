"""All rules of a service, and which of them a request meets."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from latentry.contracts.fields.safety import ImageRule
from latentry.rules.moderation.folding import readings
from latentry.rules.moderation.phrases import Phrases
from latentry.rules.moderation.prompt_rules import Pattern, PromptRule
from latentry.rules.moderation.scope import Scope
from latentry.rules.moderation.texts import Text


@dataclass(frozen=True, slots=True)
class Found:
    """A rule, and where in a request it found something."""

    rule: PromptRule
    pointer: str


@dataclass(frozen=True, eq=False)
class Rulebook:
    """The rules as the operator's file has them, in its order.

    any_pattern: finds something wherever one of the rules' patterns does. It and the words of all
    rules are looked for once in each text; a rule by itself only where it may find something.
    """

    prompt: tuple[PromptRule, ...] = ()
    image: tuple[tuple[Scope, ImageRule], ...] = ()
    any_pattern: Pattern | None = None

    def found(self, texts: Iterable[Text], tenant: str, *, is_low: bool = False) -> list[Found]:
        """The rules for this tenant's requests that find something, with the first place each."""
        rules = [rule for rule in self.prompt if rule.scope.covers(tenant, is_low=is_low)]
        places: dict[PromptRule, str] = {}
        for one in texts:
            readers = [rule for rule in rules if rule.reads_negative or not one.is_negative]
            for rule in self._finding(readers, one.text):
                places.setdefault(rule, one.pointer)
        return [Found(rule, places[rule]) for rule in rules if rule in places]

    def image_rules(self, tenant: str, *, is_low: bool = False) -> tuple[ImageRule, ...]:
        """The rules on this tenant's pictures."""
        return tuple(rule for scope, rule in self.image if scope.covers(tenant, is_low=is_low))

    def _finding(self, rules: Collection[PromptRule], text: str) -> Iterator[PromptRule]:
        """Those of the rules that find something in a text; some of them more than once."""
        for reading in readings(text) if rules else ():
            possible = self._possible(reading)
            yield from (rule for rule in rules if rule in possible and rule.finds(reading))

    def _possible(self, reading: str) -> set[PromptRule]:
        """The rules that may find something in a reading; all others find nothing."""
        words = reading.split()
        found = self._words.owners(words)
        if self.any_pattern is None or self.any_pattern.search(reading):
            return found | self._with_patterns
        # Where an exception is cut out, a pattern may find what it does not find in the whole.
        return found | (self._exceptions.owners(words) & self._with_patterns)

    @cached_property
    def _with_patterns(self) -> set[PromptRule]:
        return {rule for rule in self.prompt if rule.patterns}

    @cached_property
    def _words(self) -> Phrases[PromptRule]:
        return Phrases((word, rule) for rule in self.prompt for word in rule.words)

    @cached_property
    def _exceptions(self) -> Phrases[PromptRule]:
        return Phrases((word, rule) for rule in self.prompt for word in rule.exceptions)
