"""A job: at its end, as one of a list, in a batch, its events and its webhook's delivery."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from latentry.contracts import (
    Attempt,
    BatchItem,
    BatchResult,
    Cost,
    Delivery,
    DeliveryList,
    DeliveryStatus,
    Estimate,
    Event,
    EventType,
    Image,
    Job,
    JobList,
    JobStatus,
    JobUrls,
    Output,
    OutputKind,
    Progress,
    ResolvedRequest,
    Sampler,
    WebhookEvent,
)
from latentry.errors import UnknownModel
from service.http.failures import failure
from service.http.problems import problem

BEGAN: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
_URL: Final = "http://127.0.0.1:8000/v1"
_ID: Final = "gen_0f6a2c1d9b3e4857a6c1d2e3f4a5b6c7"
_PIXELS: Final = "9f2c6e0b1d4a7853c6f1e2d3b4a59687786950a4b3c2d1e0f9e8d7c6b5a49382"
PICTURE: Final[dict[str, Any]] = {
    "index": 0,
    "seed": 7,
    "width": 128,
    "height": 128,
    "content_type": "image/png",
    "pixel_sha256": _PIXELS,
    "unsigned_sha256": _PIXELS[::-1],
    "signed": True,
    "url": f"{_URL}/files/default/{_ID}/1-0.png?exp=1796126400&sig=Zk3R",
}


def queued(job: Job) -> Job:
    """The same before it began."""
    return job.model_copy(
        update={
            "status": JobStatus.QUEUED,
            **{"images": [], "outputs": [], "progress": None, "queue_position": 3},
            "estimated_start_at": BEGAN + timedelta(seconds=2),
            **dict.fromkeys(("queue_ms", "run_ms", "started_at", "finished_at", "caption")),
        }
    )


def estimated(job: Job) -> Estimate:
    """What a dry run of its request says."""
    assert job.cost, "of a job that is accepted"
    return Estimate(
        cost=job.cost, estimated_wait_s=2.0, estimated_start_at=BEGAN + timedelta(seconds=2)
    )


JOB: Final = Job(
    id=_ID,
    status=JobStatus.SUCCEEDED,
    request=ResolvedRequest(
        model="shapes",
        prompt="a red circle on a blue background",
        width=128,
        height=128,
        num_inference_steps=25,
        guidance_scale=2.0,
        sampler=Sampler.DDIM,
        seed=7,
        metadata={"order": "17"},
    ),
    images=[Image(**PICTURE)],
    outputs=[Output(**PICTURE, name="", kind=OutputKind.IMAGE)],
    progress=Progress(step=25, steps=25),
    cost=Cost(step_megapixels=0.819, worker_seconds=0.41),
    queue_ms=12,
    run_ms=640,
    created_at=BEGAN,
    started_at=BEGAN + timedelta(milliseconds=12),
    finished_at=BEGAN + timedelta(milliseconds=652),
    urls=JobUrls(
        self=f"{_URL}/generations/{_ID}",
        events=f"{_URL}/generations/{_ID}/events",
        cancel=f"{_URL}/generations/{_ID}/cancel",
    ),
)
CANCELED: Final = queued(JOB).model_copy(
    update={
        **{"status": JobStatus.CANCELED, "queue_position": None, "estimated_start_at": None},
        "finished_at": BEGAN + timedelta(seconds=1),
    }
)
ESTIMATE: Final = estimated(JOB)
LIST: Final = JobList(data=[JOB], next_cursor="am9iIDQxMA", count=1)
BATCH: Final = BatchResult(
    data=[
        BatchItem(index=0, status=202, job=queued(JOB)),
        BatchItem(
            index=1,
            status=404,
            problem=problem(failure(UnknownModel()), request_id="req_5f0c1e7ab29d48e6a3b1c4d2"),
        ),
    ]
)
DELIVERY: Final = Delivery(
    id="evt_3c1f9a70e5d24b86a1b2c3d4e5f60718",
    event=WebhookEvent.SUCCEEDED,
    status=DeliveryStatus.DELIVERED,
    created_at=BEGAN + timedelta(milliseconds=652),
    attempts=[
        Attempt(number=1, at=BEGAN + timedelta(milliseconds=731), duration_ms=64, status=200)
    ],
)
DELIVERIES: Final = DeliveryList(data=[DELIVERY])
_TOLD: Final = (
    Event(type=EventType.QUEUED, id="1796040000000-0", position=3),
    Event(type=EventType.RUNNING, id="1796040000012-0"),
    Event(type=EventType.STEP, progress=Progress(step=12, steps=25)),
    Event(type=EventType.IMAGE, id="1796040000651-0", image=JOB.images[0]),
    Event(type=EventType.SUCCEEDED, id="1796040000652-0", job=JOB),
)


def _event(told: Event) -> str:
    lines = [f"id: {told.id}"] if told.id else []
    lines += [f"event: {told.type}", f"data: {told.model_dump_json(exclude_none=True)}"]
    return "\n".join(lines) + "\n\n"


EVENTS: Final = "".join(map(_event, _TOLD))
