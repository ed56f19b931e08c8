"""What prompts may not ask: huge weights, or more texts and rows than a call should have."""

from collections.abc import Sequence
from typing import Final

from latentry.contracts import Determinism, ModelCard, PromptSyntax, ResolvedRequest
from latentry.errors import InvalidPrompt
from latentry.rules.compositions import MAX_PARTS, Part, parts
from latentry.rules.prompt_rows import PromptRow, prompt_rows, written_rows
from latentry.rules.prompt_schedules import MAX_SWITCHES, MAX_TEXTS, switch_count
from latentry.rules.prompts import MAX_WEIGHT, is_bounded

_POSITIVE, _NEGATIVE = "/prompt", "/negative_prompt"
_PLAIN: Final = "or set prompt_syntax to plain"


def check_prompts(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises InvalidPrompt, whose `fields` are JSON pointers to the prompts and say why."""
    composed = parts(request.prompt, request.prompt_syntax)
    if len(composed) > MAX_PARTS:  # before the texts of each are made
        why = f"There are more than {MAX_PARTS} prompts between ANDs; use fewer, {_PLAIN}."
        _refuse(why, _POSITIVE)
    if request.prompt_syntax is not PromptSyntax.PLAIN:
        written = {_POSITIVE: composed, _NEGATIVE: [Part(request.negative_prompt)]}
        why = f"It has more than {MAX_SWITCHES} schedules and alternations; use fewer, {_PLAIN}."
        _refuse(why, *(where for where, its in written.items() if _switches(its) > MAX_SWITCHES))
    negative, *positive = written_rows(request)
    rows = {_POSITIVE: positive, _NEGATIVE: [negative]}
    why = f"Its schedules and alternations make more than {MAX_TEXTS} texts; use fewer, {_PLAIN}."
    _refuse(why, *(where for where, its in rows.items() if _texts(its) > MAX_TEXTS))
    why = (
        f"A weight is above {MAX_WEIGHT:g} or below -{MAX_WEIGHT:g}; write literal brackets as"
        rf" \( and \), {_PLAIN}."
    )
    syntax = request.prompt_syntax
    _refuse(why, *(where for where, its in rows.items() if not _are_bounded(its, syntax)))
    _check_rows(card, request)


def _refuse(why: str, *pointers: str) -> None:
    if pointers:
        raise InvalidPrompt(why, fields=dict.fromkeys(pointers, why))


def _switches(written: Sequence[Part]) -> int:
    return sum(switch_count(one.text) for one in written)


def _texts(rows: Sequence[PromptRow]) -> int:
    return sum(len(row.distinct) for row in rows)


def _are_bounded(rows: Sequence[PromptRow], syntax: PromptSyntax) -> bool:
    return all(
        abs(row.weight) <= MAX_WEIGHT and all(is_bounded(text, syntax) for text in row.distinct)
        for row in rows
    )


def _check_rows(card: ModelCard, request: ResolvedRequest) -> None:
    needed, most = len(prompt_rows(request)), card.limits.strict_rows
    if request.determinism is Determinism.STRICT and needed > most:
        why = (
            f"It takes {needed} rows of a UNet call, and {card.id}'s calls have {most} in strict"
            " mode; use fewer ANDs, or determinism fast."
        )
        _refuse(why, _POSITIVE)
