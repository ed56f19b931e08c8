"""Files of rules on prompts and pictures, as TOML."""

import tomllib
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import re2
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from latentry.contracts.fields.conditioning import NegativePrompt
from latentry.contracts.fields.safety import ImageAction, ImageRule, RuleName
from latentry.errors import ConfigurationError
from latentry.rules.moderation.folding import readings
from latentry.rules.moderation.prompt_rules import Pattern, PromptAction, PromptRule
from latentry.rules.moderation.rulebook import Rulebook
from latentry.rules.moderation.scope import Scope
from latentry.settings import Settings
from service.templates.files import below, read_text

SUFFIXES: Final = (".toml",)
# What is said where a rule that refuses nothing has no reason of its own.
_REASON: Final = "A rule of this service applies."
_Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
E = TypeVar("E", bound="_Entry")


class _Entry(BaseModel):
    """What rules of both kinds say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: RuleName
    reason: _Text = _REASON
    tenants: list[str] = []
    except_tenants: list[str] = []
    relaxed: bool = False

    @abstractmethod
    def rule(self) -> Any:
        """The rule. Raises ValueError."""

    @property
    def scope(self) -> Scope:
        """Whose requests it is for."""
        return Scope(frozenset(self.tenants), frozenset(self.except_tenants), self.relaxed)


class _PromptEntry(_Entry):
    words: list[_Text] = []
    patterns: list[_Text] = []
    exceptions: list[_Text] = []
    action: Annotated[PromptAction, Field(strict=False)]
    negative_prompt: NegativePrompt = ""
    reads: list[Literal["prompt", "negative_prompt"]] = ["prompt"]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not (self.words or self.patterns):
            raise ValueError("it needs words or patterns")
        if self.action is PromptAction.REFUSE and "reason" not in self.model_fields_set:
            raise ValueError("a rule that refuses needs a reason, which the caller is told")
        if (self.action is PromptAction.APPEND) != bool(self.negative_prompt.strip()):
            raise ValueError("negative_prompt belongs to the action append, which needs one")
        for text in (*self.words, *self.exceptions):
            if not any(readings(text)):
                raise ValueError(f"“{text}” has neither letters nor digits")
        return self

    def rule(self) -> PromptRule:
        """The rule. Raises ValueError for a pattern that is none."""
        return PromptRule(
            name=self.name,
            action=self.action,
            reason=self.reason,
            words=tuple(self.words),
            patterns=tuple(map(_pattern, self.patterns)),
            exceptions=tuple(self.exceptions),
            negative_prompt=self.negative_prompt.strip(),
            reads_negative="negative_prompt" in self.reads,
            scope=self.scope,
        )


class _ImageEntry(_Entry):
    label: _Text
    threshold: Annotated[float, Field(strict=False, ge=0, le=1)]
    action: Annotated[ImageAction, Field(strict=False)]
    charge: bool = False

    def rule(self) -> tuple[Scope, ImageRule]:
        """The rule, and whose pictures it is for."""
        fields = {name: getattr(self, name) for name in ImageRule.model_fields}
        return self.scope, ImageRule(**fields)


def find_rules(settings: Settings) -> list[Path]:
    """The files that LATENTRY_RULES names; a folder itself if it has none."""
    place = Path(settings.rules)
    return below(place, SUFFIXES) or [place] if settings.rules else []


def read_rules(files: Iterable[Path]) -> Rulebook:
    """All rules, in order. Raises ConfigurationError, which names file and rule.

    Files without any are refused, too: one that is being written is empty at first.
    """
    prompt: list[PromptRule] = []
    image: list[tuple[Scope, ImageRule]] = []
    names, patterns, files = set[str](), list[str](), list(files)
    for file in files:
        tables = _tables(file)
        prompt += _rules(file, "prompt", tables, _PromptEntry, names)
        patterns += [text for one in tables.get("prompt", ()) for text in one.get("patterns", ())]
        image += _rules(file, "image", tables, _ImageEntry, names)
    if files and not names:
        raise ConfigurationError(f"{files[0]} has no rules; without LATENTRY_RULES there are none.")
    return Rulebook(tuple(prompt), tuple(image), _any_of(patterns))


def _tables(file: Path) -> dict[str, Any]:
    text = read_text(file)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not TOML: {error}.") from None
    except RecursionError:
        raise ConfigurationError(f"{file} is nested too deeply.") from None
    if unknown := tables.keys() - {"prompt", "image"}:
        raise ConfigurationError(
            f"{file}: “{min(unknown)}” is no rule; rules begin with [[prompt]] or [[image]]."
        )
    return tables


def _rules(
    file: Path, kind: str, tables: dict[str, Any], entry: type[E], names: set[str]
) -> list[Any]:
    entries = tables.get(kind, [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"{file}: each rule begins with [[{kind}]], in two brackets.")
    found = []
    for number, table in enumerate(entries, 1):
        try:
            one = entry.model_validate(table)
            found.append(one.rule())
        except ValidationError as error:
            raise ConfigurationError(f"{file}, {kind} rule {number}: {_sentence(error)}") from None
        except ValueError as error:
            raise ConfigurationError(f"{file}, {kind} rule {number}: {error}.") from None
        if one.name in names:
            raise ConfigurationError(f"{file}: there are two rules “{one.name}”.")
        names.add(one.name)
    return found


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    why = first["msg"].removeprefix("Value error, ")
    return f"{where}: {why}." if where else f"{why}."


def _any_of(patterns: Iterable[str]) -> Pattern | None:
    """One pattern for all: most texts are looked at once. None if RE2 has no room for it."""
    try:
        return _compiled("|".join(f"(?:{text})" for text in patterns) or r"\z\A.")
    except re2.error:
        return None


def _compiled(text: str) -> Pattern:
    """RE2 takes time in proportion to the text, whatever the pattern. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    return re2.compile(text, options)  # type: ignore[no-any-return]


def _pattern(text: str) -> Pattern:
    """The pattern. Raises ValueError."""
    try:
        pattern = _compiled(text)
    except re2.error as error:
        why = error.args[0]
        raise ValueError(f"“{text}” is no pattern of RE2: {_decoded(why)}") from None
    if pattern.search(""):
        raise ValueError(f"“{text}” finds something in every prompt")
    return pattern


def _decoded(why: Any) -> str:
    return why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
