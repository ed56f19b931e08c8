"""The engine beside the stock pipelines: models of every family and prediction, and verdicts."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry.contracts import Sampler, Spacing
from tests.worker.engine import stock, tiny
from tests.worker.engine.stock import WALKS, Stock
from tests.worker.engine.tiny import Family
from worker.engine.loop import Engine, Order

# What the published models of each family say, as far as it matters here.
FAMILIES: dict[Family, dict[str, Any]] = {
    Family.SD1: tiny.EPSILON,
    Family.SD2: tiny.EPSILON | {"_class_name": "DDIMScheduler", "skip_prk_steps": None},
    Family.SDXL: tiny.EPSILON
    | {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"},
}
_PREDICTIONS: dict[str, dict[str, Any]] = {
    "epsilon": {},
    "v": {"prediction_type": "v_prediction"},
    "v_zero_snr": {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
}


@dataclass(frozen=True, slots=True)
class Model:
    """A tiny model: whose shape it has, what it predicts, and its scheduler config."""

    family: Family
    prediction: str
    config: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.family}-{self.prediction}"


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        *(
            Model(family, prediction, config | changes)
            for family, config in FAMILIES.items()
            for prediction, changes in _PREDICTIONS.items()
        ),
        Model(Family.SD1, "sample", tiny.EPSILON | {"prediction_type": "sample"}),
    )
}


def make_folders(root: Path) -> dict[str, Path]:
    """Write them all."""
    return {
        name: tiny.make(root / name, model.config, family=model.family)
        for name, model in MODELS.items()
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a latent is from the stock pipeline's, in tolerances of 1e-5 · max(1, max|stock|).

    Only where that is more than one: how far both are from the same pipeline in float64.
    """

    error: float
    ours_from_truth: float = 0.0
    stock_from_truth: float = 0.0

    @property
    def is_equal(self) -> bool:
        """Within the tolerance of stock."""
        return self.error <= 1

    @property
    def is_rounding(self) -> bool:
        """Whether stock's own rounding takes up the tolerance, and ours is no worse.

        Rounding of the UNet's, grown by an ill-conditioned walk, differs between any two runs that
        are not the same to the last bit: hence twice.
        """
        return self.stock_from_truth > 0.5 and self.ours_from_truth <= 2 * self.stock_from_truth


def judge(latent: torch.Tensor, order: Order, reference: Stock) -> Verdict:
    """Compare the engine's latent for an order with stock's."""
    request = order.request.model_dump_json()
    theirs = reference.draw(request, order.seed)
    error = stock.error(latent, theirs)
    if error <= 1:
        return Verdict(error)
    truth = reference.draw(request, order.seed, doubles=True)
    return Verdict(error, stock.error(latent, truth), stock.error(theirs, truth))


def missed(verdicts: Mapping[Any, Verdict]) -> dict[Any, Verdict]:
    """Those that are neither equal nor excused."""
    return {
        cell: verdict
        for cell, verdict in verdicts.items()
        if not (verdict.is_equal or verdict.is_rounding)
    }


def order(job: str, model: str, sampler: Sampler, spacing: Spacing, **changes: Any) -> Order:
    """An order for one small picture."""
    fields = {"sampler": sampler, "spacing": spacing, "negative_prompt": "blur", "seed": 11}
    return tiny.order(job, model=model, **(fields | changes))


def any_order(job: str, chance: random.Random) -> Order:
    """An order with everything a row may have of its own drawn by lot."""
    sampler, spacing = chance.choice(WALKS)
    width, height = chance.choice([(64, 64), (64, 64), (96, 64), (64, 96)])
    return tiny.order(
        job,
        model=chance.choice([name for name in MODELS if not name.endswith("sample")]),
        sampler=sampler,
        spacing=spacing,
        prompt=chance.choice(["a red circle", "a blue square on white! so white!!", ""]),
        negative_prompt=chance.choice(["", "blurred"]),
        num_inference_steps=chance.choice([3, 4, 5, 8]),
        guidance_scale=chance.choice([0.0, 1.0, 1.5, 2.5]),
        guidance_rescale=chance.choice([0.0, 0.0, 0.7]),
        width=width,
        height=height,
        seed=chance.randrange(5),
        determinism=chance.choice(["fast", "fast", "strict"]),
    )


def alone(engine: Engine[Any], order: Order) -> torch.Tensor:
    """The final latent [C, h, w] of an order that has the engine to itself."""
    with _finals(engine) as latents:
        engine.submit(order)
        while not engine.idle:
            engine.step()
    return latents[order.job]


def in_a_crowd(
    engine: Engine[Any], orders: Sequence[Order], chance: random.Random
) -> dict[str, torch.Tensor]:
    """The final latents of orders that come at any time, by job; some are canceled on the way."""
    waiting = list(orders)
    with _finals(engine) as latents:
        while waiting or not engine.idle:
            while waiting and (engine.idle or chance.random() < 0.5):
                engine.submit(waiting.pop())
            if chance.random() < 0.02:
                engine.drop(chance.choice(orders).job)
            engine.step()
    return latents


@contextmanager
def _finals(engine: Engine[Any]) -> Iterator[dict[str, torch.Tensor]]:
    """The latents that the engine decodes, by job, as they come."""
    backend, latents = engine.backend, {}
    decode = backend.decode

    def spy(members: list[Any]) -> Any:
        latents.update({one.order.job: one.latent.clone() for one in members})
        return decode(members)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "decode", spy)
        yield latents
