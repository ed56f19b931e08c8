"""A request, pixels to go with it, and a worker that only charges for what it draws."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from latentry.contracts import ResolvedRequest, Sampler
from latentry.ledger import Ledger
from latentry.storage import Storage
from tests.worker.harness import Worker
from worker.engine.loop import Engine
from worker.engine.simulated import Charge, Simulated


@pytest.fixture
def request_made() -> ResolvedRequest:
    return ResolvedRequest(
        model="shapes",
        prompt="a red circle on a blue background",
        negative_prompt="yellow",
        width=96,
        height=64,
        num_inference_steps=25,
        guidance_scale=7.5,
        sampler=Sampler.DDIM,
        seed=7,
        n=4,
        metadata={"order": "private-4711"},
    )


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """A disc with soft edges and a little grain, as a VAE draws it. (64, 96, 3)."""
    large = Image.new("RGB", (384, 256), (50, 80, 220))
    ImageDraw.Draw(large).ellipse((112, 48, 272, 208), fill=(220, 40, 40))
    clean = np.asarray(large.resize((96, 64), Image.Resampling.LANCZOS), dtype=float)
    grain = np.random.default_rng(0).normal(0, 0.7, clean.shape)
    return (clean + grain).round().clip(0, 255).astype(np.uint8)


def simulated() -> Engine[Any]:
    return Engine(Simulated({"shapes": Charge(0.01, 0.001, 256)}))


@pytest.fixture
def drawing(ledger: Ledger, storage: Storage) -> Iterator[Worker]:
    worker = Worker(ledger, storage, engine=simulated())
    worker.start()
    yield worker
    worker.stop()
