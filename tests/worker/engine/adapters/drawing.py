"""Orders with LoRAs, and what the format's definition makes of them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentry.contracts import Lora
from tests.worker.engine import oracle
from tests.worker.engine.adapters import written
from tests.worker.engine.stock import Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Order


@dataclass(frozen=True)
class Made:
    """A file, its hash, and what it adds to which layers."""

    path: Path
    sha256: str
    deltas: written.Deltas


@dataclass(frozen=True)
class Worn:
    """A file with its weights."""

    made: Made
    weight: float = 1.0
    text: float | None = None

    @property
    def lora(self) -> Lora:
        text = self.weight if self.text is None else self.text
        return Lora(
            id=self.made.path.stem, weight=self.weight, text_encoder_weight=text,
            sha256=self.made.sha256,
        )  # fmt: skip


def dressed(backend: Diffusion, order: Order, worn: Sequence[Worn]) -> Order:
    """The order with these LoRAs, loaded as a worker loads them."""
    loras = tuple(one.lora for one in worn)
    request = order.request.model_copy(update={"loras": loras})
    files = {one.made.sha256: one.made.path for one in worn if one.lora.has_effect}
    return replace(order, request=request, adapters=backend.adapters.load(request.model, files))


def by_definition(
    reference: Stock, order: Order, worn: Sequence[Worn]
) -> AbstractContextManager[Any]:
    pipeline = reference.pipeline(order.request.model)
    weighted = [(w.made.deltas, w.lora.weight, w.lora.text_encoder_weight) for w in worn]
    return written.merged(pipeline, *weighted)


def verdict(latent: Any, order: Order, reference: Stock, worn: Sequence[Worn]) -> oracle.Verdict:
    with by_definition(reference, order, worn):
        return oracle.judge(latent, order, reference)
