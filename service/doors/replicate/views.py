"""Ledger records as Replicate's predictions."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel

from latentry.contracts import JobStatus
from latentry.ledger import JobRecord
from service.doors.replicate.responses import Metrics, Prediction, PredictionUrls, Status
from service.doors.replicate.translation import OWNER
from service.gateway import Gateway
from service.jobs.views import time_of

PREFIX: Final = "/replicate"
NOTIFY_AS: Final = "replicate"  # whose notifications webhooks of its jobs get
_STATES: Final = {
    JobStatus.QUEUED: Status.STARTING,
    JobStatus.RUNNING: Status.PROCESSING,
    JobStatus.SUCCEEDED: Status.SUCCEEDED,
    JobStatus.FAILED: Status.FAILED,
    JobStatus.CANCELED: Status.CANCELED,
    JobStatus.EXPIRED: Status.FAILED,
}
_NAMES: Final = {"n": "num_outputs", "sampler": "scheduler", "strength": "prompt_strength"}
_OF_A_FILE: Final = {"file", "pixel_sha256", "width", "height"}
_BAR: Final = 10  # characters


def prediction(gateway: Gateway, record: JobRecord, *, is_new: bool = False) -> Prediction:
    """The prediction that a job is; its output are URLs.

    `is_new`: it answers the call that creates it, where `run()` polls what is `starting` and takes
    all else for ended.
    """
    id, request = record.ref.id, record.request
    links = None
    if record.state is JobStatus.SUCCEEDED:
        links = [gateway.links.file(image.key) for image in record.images]
    return Prediction(
        id=id,
        model=f"{OWNER}/{request.model}",
        version=request.model,
        input=_input(gateway, request),
        output=links,
        logs=_logs(record),
        error=record.error.message if record.error else None,
        status=_status(record, is_new=is_new),
        metrics=_metrics(record),
        created_at=datetime.fromtimestamp(record.created_ms / 1000, UTC),
        started_at=time_of(record.started_ms),
        completed_at=time_of(record.finished_ms),
        deadline=time_of(record.finish_by_ms),
        urls=_urls(gateway, record),
    )


def notifier(gateway: Gateway) -> Callable[[JobRecord], Awaitable[Prediction]]:
    """What makes the body of a webhook: the prediction, with URLs that are signed now."""

    async def body(record: JobRecord) -> Prediction:
        return prediction(gateway, record)

    return body


def progress_line(step: int, steps: int) -> str:
    """As tqdm writes it, which Replicate's clients read in the logs."""
    done = step * _BAR // steps if steps else _BAR
    percent = 100 * step // steps if steps else 100
    return f"{percent:3}%|{'█' * done}{' ' * (_BAR - done)}| {step}/{steps}"


def stream_key(tenant: str, job_id: str) -> str:
    """What the signature of a stream's URL is of; no output has such a key."""
    return f"stream {tenant} {job_id}"


def _status(record: JobRecord, *, is_new: bool) -> Status:
    is_late = record.finish_by_ms is not None and (record.finished_ms or 0) >= record.finish_by_ms
    if record.state is JobStatus.EXPIRED and is_late:
        return Status.CANCELED  # as `Cancel-After` promises
    if is_new and not record.state.is_terminal:
        return Status.STARTING
    return _STATES[record.state]


def _urls(gateway: Gateway, record: JobRecord) -> PredictionUrls:
    tenant, id = record.ref.tenant, record.ref.id
    root = f"{gateway.settings.base_url}{PREFIX}/v1"
    signature = gateway.links.signature(stream_key(tenant, id))
    return PredictionUrls(
        get=f"{root}/predictions/{id}",
        cancel=f"{root}/predictions/{id}/cancel",
        stream=f"{root}/streams/{tenant}/{id}?{signature}",
    )


def _logs(record: JobRecord) -> str:
    lines = [warning.message for warning in record.warnings]
    steps = record.request.total_steps
    if record.state is JobStatus.SUCCEEDED:
        lines.append(progress_line(steps, steps))
    elif record.progress:
        lines.append(progress_line(record.progress.step, record.progress.steps))
    return "\n".join(lines)


def _metrics(record: JobRecord) -> Metrics:
    if record.finished_ms is None:
        return Metrics()
    return Metrics(
        predict_time=None if record.run_ms is None else record.run_ms / 1000,
        total_time=(record.finished_ms - record.created_ms) / 1000,
        image_count=len(record.images),
    )


def _input(gateway: Gateway, request: BaseModel) -> dict[str, Any]:
    """What was admitted, by the names of Replicate's models where they have one."""
    said = request.model_dump(mode="json", exclude_defaults=True, exclude={"model"})
    return {_NAMES.get(name, name): _with_urls(gateway, value) for name, value in said.items()}


def _with_urls(gateway: Gateway, value: Any) -> Any:
    """The same, with the URL of a picture in place of what is known of its file."""
    if isinstance(value, dict):
        if value.keys() >= _OF_A_FILE:
            return f"{gateway.settings.base_url}{PREFIX}/v1/files/{value['file']}"
        return {name: _with_urls(gateway, one) for name, one in value.items()}
    return [_with_urls(gateway, one) for one in value] if isinstance(value, list) else value
