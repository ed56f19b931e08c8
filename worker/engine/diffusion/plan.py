"""What an order's calls need."""

from latentry.contracts import Determinism
from latentry.rules.limits import refuse_unsupported
from latentry.rules.prompt_rows import prompt_rows
from worker.batching import BatchKey
from worker.engine.loop.backend import Plan
from worker.engine.loop.messages import Order
from worker.engine.models.loaded_model import LoadedModel


def plan(order: Order, model: LoadedModel) -> Plan:
    """The batch key and rows of an order's calls. Raises InvalidRequest."""
    request = order.request
    refuse_unsupported(model.card, request)
    _, height, width = model.latent_shape(request.width, request.height)
    key = BatchKey(
        request.model,
        height,
        width,
        model.conditioner.chunks(request),
        model.strict_rows if request.determinism is Determinism.STRICT else 0,
        interval=request.cache_interval,
        seamless=request.seamless,
    )
    return Plan(key, rows=len(prompt_rows(request)))
