"""All rules of a service, and which of them a request meets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from latentry.contracts.fields.safety import ImageRule
from latentry.rules.moderation.folding import readings
from latentry.rules.moderation.prompt_rules import PromptRule
from latentry.rules.moderation.scope import Scope
from latentry.rules.moderation.texts import Text


@dataclass(frozen=True, slots=True)
class Found:
    """A rule, and where in a request it found something."""

    rule: PromptRule
    pointer: str


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules as the operator's file has them, in its order."""

    prompt: tuple[PromptRule, ...] = ()
    image: tuple[tuple[Scope, ImageRule], ...] = ()

    def found(self, texts: Iterable[Text], tenant: str, *, is_low: bool = False) -> list[Found]:
        """The rules for this tenant's requests that find something, with the first place each."""
        rules = [rule for rule in self.prompt if rule.scope.covers(tenant, is_low=is_low)]
        if not rules:
            return []
        is_read = {False} | {rule.reads_negative for rule in rules}
        read = [(one, readings(one.text)) for one in texts if one.is_negative in is_read]
        return [found for rule in rules if (found := next(_places(rule, read), None))]

    def image_rules(self, tenant: str, *, is_low: bool = False) -> tuple[ImageRule, ...]:
        """The rules on this tenant's pictures."""
        return tuple(rule for scope, rule in self.image if scope.covers(tenant, is_low=is_low))


def _places(rule: PromptRule, read: Iterable[tuple[Text, tuple[str, ...]]]) -> Iterator[Found]:
    for text, ways in read:
        if (not text.is_negative or rule.reads_negative) and any(map(rule.finds, ways)):
            yield Found(rule, text.pointer)
