"""Rules on pictures: what their scores lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from latentry.contracts.fields.safety import ImageAction, ImageRule, Safety

_DIGITS = 3  # of a score: what a batch changes in it is far below


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a picture. `rules`: whose threshold was reached, the strictest first."""

    safety: Safety
    rules: tuple[ImageRule, ...] = ()

    @property
    def action(self) -> ImageAction:
        """What is done with it."""
        return self.safety.action

    @property
    def reason(self) -> str:
        """What the caller is told; empty if no rule was reached."""
        return self.rules[0].reason if self.rules else ""

    @property
    def applied(self) -> tuple[tuple[str, str], ...]:
        """The rules that were reached, and what each does."""
        return tuple((rule.name, rule.action.value) for rule in self.rules)

    @property
    def is_charged(self) -> bool:
        """Whether it is paid for although it is blocked."""
        return any(rule.charge for rule in self.rules if rule.action is ImageAction.BLOCK)


def verdict(scores: Mapping[str, float], rules: Sequence[ImageRule]) -> Verdict:
    """What these rules make of a picture's scores, each of which has its label among them.

    Raises KeyError for a rule on a label without a score.
    """
    rounded = {label: round(score, _DIGITS) for label, score in scores.items()}
    reached = [rule for rule in rules if rounded[rule.label] >= rule.threshold]
    reached.sort(key=lambda rule: -rule.action.severity)
    labels = dict.fromkeys(rule.label for rule in reached)
    action = reached[0].action if reached else ImageAction.NONE
    return Verdict(Safety(labels=list(labels), scores=rounded, action=action), tuple(reached))
