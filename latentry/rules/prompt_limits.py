"""What prompts may not ask: huge weights, or more texts and rows than a call should have."""

from collections.abc import Sequence
from typing import Final

from latentry.contracts import Determinism, ModelCard, PromptSyntax, ResolvedRequest
from latentry.errors import InvalidPrompt
from latentry.rules.compositions import MAX_PARTS, parts
from latentry.rules.prompt_rows import PromptRow, prompt_rows, written_rows
from latentry.rules.prompt_schedules import MAX_SWITCHES, MAX_TEXTS, switch_count
from latentry.rules.prompts import MAX_WEIGHT, is_bounded

_PLAIN: Final = "or set prompt_syntax to plain"


def check_prompts(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises InvalidPrompt, whose `fields` are JSON pointers to the prompts and say why."""
    composed = parts(request.prompt, request.prompt_syntax)
    if len(composed) > MAX_PARTS:  # before the texts of each are made
        _refuse({"/prompt": f"It has more than {MAX_PARTS} parts between ANDs; use fewer, {_PLAIN}."})
    texts = {"/prompt": [one.text for one in composed], "/negative_prompt": [request.negative_prompt]}
    if request.prompt_syntax is not PromptSyntax.PLAIN:
        why = f"It has more than {MAX_SWITCHES} schedules and alternations; use fewer, {_PLAIN}."
        _refuse(
            {
                pointer: why
                for pointer, written in texts.items()
                if sum(map(switch_count, written)) > MAX_SWITCHES
            }
        )
    rows = written_rows(request)
    by_pointer = {"/prompt": rows[1:], "/negative_prompt": rows[:1]}
    _refuse({pointer: why for pointer, its in by_pointer.items() if (why := _too_many(its))})
    _refuse({pointer: why for pointer, its in by_pointer.items() if (why := _too_heavy(its, request))})
    _check_rows(card, request)


def _refuse(wrong: dict[str, str]) -> None:
    if wrong:
        raise InvalidPrompt(next(iter(wrong.values())), fields=wrong)


def _too_many(rows: Sequence[PromptRow]) -> str:
    if sum(len(row.distinct) for row in rows) <= MAX_TEXTS:
        return ""
    return (
        f"Its schedules and alternations make more than {MAX_TEXTS} different texts; use fewer,"
        f" {_PLAIN}."
    )


def _too_heavy(rows: Sequence[PromptRow], request: ResolvedRequest) -> str:
    is_light = all(
        abs(row.weight) <= MAX_WEIGHT
        and all(is_bounded(text, request.prompt_syntax) for text in row.distinct)
        for row in rows
    )
    if is_light:
        return ""
    return (
        f"A weight is above {MAX_WEIGHT:g} or below -{MAX_WEIGHT:g}; write literal brackets as"
        rf" \( and \), {_PLAIN}."
    )


def _check_rows(card: ModelCard, request: ResolvedRequest) -> None:
    needed, most = len(prompt_rows(request)), card.limits.strict_rows
    if request.determinism is Determinism.STRICT and needed > most:
        _refuse(
            {
                "/prompt": f"It needs {needed} rows of a UNet call, and strict mode's calls of"
                f" {card.id} have {most}; use fewer ANDs, or determinism fast."
            }
        )
