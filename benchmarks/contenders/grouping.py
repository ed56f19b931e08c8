"""The same engine, made to batch only rows with equal adapters, as servers do that merge them."""

from dataclasses import replace
from typing import Any

from latentry.contracts import JobWarning
from worker.batching import BatchKey
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Order
from worker.engine.loop.backend import Plan
from worker.engine.loop.router import BackendRouter


class ByAdapter(BackendRouter):
    """A backend whose images have their adapters in the batch key."""

    @classmethod
    def of(cls, backend: Diffusion) -> "ByAdapter":
        """Around a backend, for all models that are resident."""
        return cls(dict.fromkeys(backend.resident, backend))

    def plan(self, order: Order) -> Plan:
        """See BackendRouter."""
        plan = super().plan(order)
        return replace(plan, key=_apart(plan.key, order))

    def begin(self, order: Order, plan: Plan) -> tuple[Any, list[JobWarning]]:
        """See BackendRouter."""
        begun, warnings = super().begin(order, plan)
        begun.passes = tuple(replace(one, key=_apart(one.key, order)) for one in begun.passes)
        begun.move_to(begun.pass_index, begun.calls)
        return begun, warnings


def _apart(key: BatchKey, order: Order) -> BatchKey:
    return replace(key, adapters=tuple(lora.sha256 for lora in order.request.loras))
