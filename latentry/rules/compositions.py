"""Prompts joined by AND, each with a row of its own (composable diffusion, arXiv:2206.01714)."""

import re
from dataclasses import dataclass
from typing import Final

from latentry.contracts import PromptSyntax

# With the negative prompt's, seven rows: a call of strict mode usually has eight.
MAX_PARTS: Final = 6
_AND: Final = re.compile(r"\bAND\b")
_WEIGHT: Final = re.compile(r"[-+]?(?:[0-9]++\.?|[0-9]*\.[0-9]++)")


@dataclass(frozen=True, slots=True)
class Part:
    """One prompt of a composition, and what its guidance is multiplied by."""

    text: str
    weight: float = 1.0


def parts(prompt: str, syntax: PromptSyntax) -> tuple[Part, ...]:
    """`a cat AND a dog :0.7` apart, at least one part.

    As get_multicond_prompt_list of AUTOMATIC1111's modules/prompt_parser.py: AND divides wherever
    it stands. Only, a prompt without AND has no weight, because `at 10:30` would be one.
    """
    texts = [prompt] if syntax is PromptSyntax.PLAIN else _AND.split(prompt)
    return tuple(map(weighted, texts)) if len(texts) > 1 else (Part(prompt),)


def weighted(text: str) -> Part:
    """A text, and the weight that ends it after a colon."""
    before, colon, weight = text.rpartition(":")
    if colon and _WEIGHT.fullmatch(weight.strip()):
        return Part(before.rstrip(), float(weight))
    return Part(text.rstrip())
