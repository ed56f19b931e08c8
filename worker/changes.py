"""Models that come and go while the worker runs."""

from typing import Any

import structlog

from latentry.errors import LatentryError, ModelGone, ModelNotLoaded
from worker.claims.claimed_job import ClaimedJob
from worker.claims.claimer import Claimer
from worker.claims.inbox import ModelChanged
from worker.claims.reporter import Reporter
from worker.engine.loop import Engine

log = structlog.get_logger()


def change_model(
    change: ModelChanged, engine: Engine[Any], claimer: Claimer, reporter: Reporter
) -> None:
    """Serve a model as its files are now, or no longer; from the step loop, at a step boundary.

    No job of it is claimed before the engine knows it, nor once it does not.
    """
    model, served = change.model, reporter.heartbeat.served
    if change.card is None:
        claimer.queues.remove(model)
        served.withdraw(model)
        engine.change_model(model, None)
        log.info("model.gone", model=model)
    else:
        engine.change_model(model, change.blueprint)
        served.serve(change.card)
        claimer.queues.add(model)
        claimer.hear()
        log.info("model.found", model=model, family=change.card.family)
    reporter.beat_soon()


def is_for_others(job: ClaimedJob, error: LatentryError, claimer: Claimer) -> bool:
    """Whether another worker may have the model that an image of this job could not have here.

    Its queue is left to others then. Where it is the refiner that is gone or does not load, the
    job would come back here at once, again and again.
    """
    model = job.lease.record.request.model
    if isinstance(error, ModelGone):
        return model not in claimer.queues.models
    return isinstance(error, ModelNotLoaded) and error.model == model
