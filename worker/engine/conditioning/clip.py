"""One CLIP text encoder: a chunk of tokens to the hidden states that a UNet attends to."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from worker.engine.conditioning.terms import NO_ADAPTERS, EncoderAdapters, EncoderTerms
from worker.engine.conditioning.tokens import Chunk, Tokenizer
from worker.engine.conditioning.vectors import EncoderVectors, placed
from worker.engine.low_rank.rows import adapted
from worker.engine.low_rank.sites import Sites, sites
from worker.engine.low_rank.use import Use


@dataclass(frozen=True, slots=True, eq=False)
class TextEmbedding:
    """Hidden states [tokens, width] of a chunk or a prompt.

    pooled [width]: the whole text as one vector, if its encoder has a projection.
    """

    hidden: torch.Tensor
    pooled: torch.Tensor | None

    def zeros(self) -> "TextEmbedding":
        """Zeros of the same shapes."""
        pooled = None if self.pooled is None else torch.zeros_like(self.pooled)
        return TextEmbedding(torch.zeros_like(self.hidden), pooled)

    def towards(self, other: "TextEmbedding", weight: float) -> "TextEmbedding":
        """So far on the straight line to another one of the same shapes."""
        pooled = self.pooled
        if pooled is not None and other.pooled is not None:
            pooled = _between(pooled, other.pooled, weight)
        return TextEmbedding(_between(self.hidden, other.hidden, weight), pooled)

    @property
    def size_bytes(self) -> int:
        """Device memory that it takes."""
        return self.hidden.nbytes + (0 if self.pooled is None else self.pooled.nbytes)


def _between(own: torch.Tensor, other: torch.Tensor, weight: float) -> torch.Tensor:
    return torch.lerp(own.float(), other.float(), weight).to(own.dtype)


@runtime_checkable
class Visitor(Protocol):
    """A model that is in memory only while it is needed."""

    def enter(self) -> Any:
        """The model itself, which stays until it leaves."""

    def leave(self) -> None:
        """It is not needed for now."""


class Clip:
    """A text encoder with its tokenizer, used as in Stable Diffusion 1.x and 2.x or as in SDXL.

    `reader` as in Tokenizer.
    """

    def __init__(
        self, tokenizer: Any, model: Any, *, is_xl: bool = False, reader: Any = None
    ) -> None:
        # A tokenizer whose config has no length claims to take any.
        length = min(tokenizer.model_max_length, model.config.max_position_embeddings)
        self.tokenizer = Tokenizer(tokenizer, length, reader)
        self.model = model
        self._is_xl = is_xl
        # transformers 5.6 removed the module `text_model` around the encoder.
        self._final_layer_norm = getattr(model, "text_model", model).final_layer_norm
        self._sites: Sites | None = None
        self._is_masked = not is_xl and getattr(model.config, "use_attention_mask", False)

    def leave(self) -> None:
        """The prompts of a request are encoded; a model that only visits makes room."""
        if isinstance(self.model, Visitor):
            self.model.leave()

    @torch.inference_mode()
    def encode(
        self, chunk: Chunk, clip_skip: int | None, adapters: EncoderAdapters = NO_ADAPTERS
    ) -> TextEmbedding:
        """Encode one chunk. Never several at once: an embedding's bits depend on its call.

        `adapters`: what they add to the encoder's layers, and the embeddings that stand in it.

        Layers as in diffusers' encode_prompt: SD 1.x and 2.x normalise the last but `clip_skip`;
        SDXL takes the last but one and `clip_skip`, as it is. Weights do not change `pooled`.
        """
        device = self.model.device
        mask = None
        if self._is_masked:
            is_text = [position < chunk.length for position in range(len(chunk.ids))]
            mask = torch.tensor([is_text], device=device).long()
        with self._with(adapters.terms), self._placed(chunk, adapters.vectors):
            output = self.model(
                torch.tensor([chunk.ids], device=device),
                attention_mask=mask,
                output_hidden_states=True,
            )
        if self._is_xl:
            hidden = output.hidden_states[-2 - (clip_skip or 0)]
        elif clip_skip:
            hidden = self._final_layer_norm(output.hidden_states[-1 - clip_skip])
        else:
            hidden = output.last_hidden_state
        pooled = getattr(output, "text_embeds", None)
        return TextEmbedding(
            emphasized(hidden[0], chunk) if chunk.is_weighted else hidden[0],
            None if pooled is None else pooled[0],
        )

    def _with(self, terms: EncoderTerms) -> AbstractContextManager[None]:
        if not terms:
            return nullcontext()
        if isinstance(self.model, Visitor):  # another object at each visit
            return adapted(sites(self.model.enter()), self._uses(terms))
        self._sites = self._sites or sites(self.model)
        return adapted(self._sites, self._uses(terms))

    def _placed(self, chunk: Chunk, vectors: EncoderVectors) -> AbstractContextManager[None]:
        if not chunk.embeddings:
            return nullcontext()
        is_visitor = isinstance(self.model, Visitor)
        return placed(self.model.enter() if is_visitor else self.model, chunk, vectors)

    @staticmethod
    def _uses(terms: EncoderTerms) -> list[Use]:
        return [Use(layers, [weight]) for layers, weight in terms]


def emphasized(hidden: torch.Tensor, chunk: Chunk) -> torch.Tensor:
    """Hidden states [tokens, width], each token's times its weight, with their mean restored.

    As EmphasisOriginal in AUTOMATIC1111's modules/sd_emphasis.py. A mean that the weights make
    zero cannot be restored, and is left.
    """
    weights = torch.tensor(chunk.weights, device=hidden.device)
    weighted = hidden.float() * weights[:, None]
    restored = hidden.float().mean() / weighted.mean()
    return (weighted * torch.where(restored.isfinite(), restored, 1.0)).to(hidden.dtype)
