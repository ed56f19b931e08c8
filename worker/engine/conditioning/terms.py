"""What adapters change in a model's text encoders: terms of layers, and embeddings."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from worker.engine.conditioning.vectors import EncoderVectors, TextVectors
from worker.engine.low_rank.term import Layers

EncoderTerms: TypeAlias = tuple[tuple[Layers, float], ...]
TermsKey: TypeAlias = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class TextTerm:
    """An adapter's layers in each text encoder, and their weight. sha256: of its file."""

    sha256: str
    weight: float
    layers: tuple[Layers, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EncoderAdapters:
    """What applies to one encoder. key: what tells its terms from all else, contents and weights;
    of an embedding its chunk tells.
    """

    terms: EncoderTerms = ()
    vectors: EncoderVectors = field(default_factory=dict)
    key: TermsKey = ()


@dataclass(frozen=True, slots=True, eq=False)
class TextAdapters:
    """What applies to a request's prompts."""

    terms: tuple[TextTerm, ...] = ()
    vectors: TextVectors = field(default_factory=dict)

    def of_encoder(self, number: int, encoders: int) -> EncoderAdapters:
        """What applies to one encoder of so many."""
        own = [one for one in self.terms if one.layers[number]]
        return EncoderAdapters(
            tuple((one.layers[number], one.weight) for one in own),
            {sha256: tensors[number - encoders] for sha256, tensors in self.vectors.items()},
            tuple((one.sha256, one.weight) for one in own),
        )


NO_ADAPTERS: Final = EncoderAdapters()
