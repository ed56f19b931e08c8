"""The styles, wildcards and rules of one gateway."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

from latentry.contracts import Style
from latentry.rules.moderation.rulebook import Rulebook
from latentry.settings import Settings
from service.templates.rules import find_rules, read_rules
from service.templates.styles import find_styles, read_styles
from service.templates.watched import Watched
from service.templates.wildcards import find_wildcards, read_wildcards


class Library:
    """What the files say now; `refresh` reads those that changed."""

    def __init__(
        self,
        styles: Watched[dict[str, Style]],
        wildcards: Watched[dict[str, tuple[str, ...]]],
        rules: Watched[Rulebook],
    ) -> None:
        self._styles = styles
        self._wildcards = wildcards
        self._rules = rules

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Read all files. Raises ConfigurationError with the first fault."""
        return cls(
            Watched("styles", partial(find_styles, settings), read_styles),
            Watched(
                "wildcards",
                partial(find_wildcards, settings),
                partial(read_wildcards, settings),
            ),
            Watched("rules", partial(find_rules, settings), read_rules),
        )

    @property
    def styles(self) -> Mapping[str, Style]:
        """Styles by name."""
        return self._styles.value

    @property
    def wildcards(self) -> Mapping[str, tuple[str, ...]]:
        """The values of each wildcard, by name."""
        return self._wildcards.value

    @property
    def rules(self) -> Rulebook:
        """The rules on prompts and pictures."""
        return self._rules.value

    @property
    def stale(self) -> Mapping[str, Callable[[], bool]]:
        """Whether the files of each kind were changed to what cannot be read."""
        watched = {"styles": self._styles, "wildcards": self._wildcards, "rules": self._rules}
        return {name: partial(getattr, one, "is_stale") for name, one in watched.items()}

    def refresh(self) -> None:
        """Read the files that changed. What is broken is logged, and the last good one kept."""
        self._styles.refresh()
        self._wildcards.refresh()
        self._rules.refresh()
