"""What an adapter changes in a model's text encoders."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from worker.engine.low_rank import Layers

EncoderTerms: TypeAlias = tuple[tuple[Layers, float], ...]
TermsKey: TypeAlias = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class TextTerm:
    """An adapter's layers in each text encoder, and their weight. sha256: of its file."""

    sha256: str
    weight: float
    layers: tuple[Layers, ...]


def of_encoder(number: int, terms: Iterable[TextTerm]) -> tuple[EncoderTerms, TermsKey]:
    """What applies to one encoder, and what tells it from all else: contents and weights."""
    own = [one for one in terms if number < len(one.layers) and one.layers[number]]
    return (
        tuple((one.layers[number], one.weight) for one in own),
        tuple((one.sha256, one.weight) for one in own),
    )
