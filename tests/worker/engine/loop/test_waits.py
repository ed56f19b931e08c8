"""What the VAE does for some images makes no other one wait for more than one step."""

from typing import Any

import pytest

from tests.modes import MODES
from tests.worker.engine.reference import order_of
from worker.batching import Costs
from worker.engine.diffusion import start
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine

CROWD = 6
FROM_PICTURES = [mode for mode, which in MODES.items() if which.brings and which.channels == 4]


class Watched:
    """A backend whose calls and encodings take a second each, by its own clock."""

    def __init__(self, backend: Diffusion, patch: pytest.MonkeyPatch) -> None:
        self.at_s = 0.0
        self.encoded: list[int] = []  # pictures, in each step
        self._advance = backend.advance
        patch.setattr(backend, "advance", self.advance)
        patch.setattr(backend, "now", lambda: self.at_s)
        for module in (start.start, start.enlarged):
            patch.setattr(module, "encode", self.encoding(module.encode))

    def advance(self, members: Any, rows: int) -> None:
        self._advance(members, rows)
        self.at_s += 1

    def encoding(self, encode: Any) -> Any:
        def encoded(*args: Any) -> Any:
            self.at_s += 1
            self.encoded[-1] += 1
            return encode(*args)

        return encoded


@pytest.mark.parametrize("mode", [*FROM_PICTURES, "hires by pixels"])
def test_a_step_waits_for_one_image_s_encoding_at_most(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """However many come, or change their pass, at once beside one that steps."""
    fields = {"model": "epsilon", "guidance_scale": 1.0}
    order, costs = order_of("text", "waits", num_inference_steps=40, **fields), Costs()
    costs.observe(backend.plan(order).key, 1, 1.0)
    watched, engine = Watched(backend, monkeypatch), Engine(backend, costs)
    engine.submit(order)
    engine.step()
    for number in range(CROWD):
        engine.submit(order_of(mode, f"job {number}", seed=number, **fields))
    while not engine.idle:
        watched.encoded.append(0)
        engine.step()
    assert sum(watched.encoded) == CROWD
    assert max(watched.encoded) == 1
