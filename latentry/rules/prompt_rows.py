"""What the rows of an image's UNet calls are conditioned on: the texts of its prompts, by call."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from latentry.contracts import PromptSyntax, ResolvedRequest
from latentry.rules.compositions import parts
from latentry.rules.pricing import scheduled_calls
from latentry.rules.prompt_schedules import texts_by_call

_CACHED: Final = 64


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One row of each call.

    texts: at call 0, 1, … of a pass; the last one stays. weight: of a part of the prompt.
    """

    texts: tuple[str, ...]
    weight: float = 1.0
    is_negative: bool = False

    @property
    def distinct(self) -> tuple[str, ...]:
        """Its texts, each once, in the order of their first call."""
        return tuple(dict.fromkeys(self.texts))


def prompt_rows(request: ResolvedRequest) -> tuple[PromptRow, ...]:
    """The negative prompt's row, if there is guidance; then one for each part of the prompt.

    An edit has the negative prompt's twice: without its picture, and with it.
    """
    negative, *positive = written_rows(request)
    return (*[negative] * request.negative_rows, *positive)


def written_rows(request: ResolvedRequest) -> tuple[PromptRow, ...]:
    """The same with the negative prompt's in any case."""
    calls = scheduled_calls(request.sampler, request.num_inference_steps)
    return _rows(request.prompt, request.negative_prompt, request.prompt_syntax, calls)


def leads_away(request: ResolvedRequest) -> bool:
    """Whether guidance leads away from the negative prompt.

    It does not while it is off, and leads there where the weights of AND come to little or less
    than nothing: of `u + g·Σw·(c - u)` the negative prompt has `1 - g·Σw`.
    """
    weight = sum(row.weight for row in written_rows(request) if not row.is_negative)
    return request.guidance_scale * weight > 1


@lru_cache(_CACHED)
def _rows(prompt: str, negative: str, syntax: PromptSyntax, calls: int) -> tuple[PromptRow, ...]:
    if syntax is PromptSyntax.PLAIN:
        return PromptRow((negative,), is_negative=True), PromptRow((prompt,))
    return (
        PromptRow(texts_by_call(negative, calls), is_negative=True),
        *(PromptRow(texts_by_call(one.text, calls), one.weight) for one in parts(prompt, syntax)),
    )
