"""Progress and interruption: of the caller's key's jobs at this door alone."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from latentry.contracts.wire import RequestModel
from latentry.ledger.instances import MAX_TASK_ID, Task, Tasks
from service.doors.answers import body_schema, example, json_response, json_text
from service.doors.automatic1111.callers import MayDraw, MaySee
from service.doors.automatic1111.instance import Instance
from service.gateway import GatewayDep
from service.http import bodies
from service.http.direct import DirectRoute

_BEGUN: Final = 0.01  # what AUTOMATIC1111 says of a job that has made no step
_EXAMPLE: Final = {"id_task": "task(1234)"}

router = APIRouter(tags=["automatic1111"], route_class=DirectRoute)


class State(BaseModel):
    """AUTOMATIC1111's state."""

    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = ""
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class ProgressAnswer(BaseModel):
    """How far the oldest unfinished job is; 0 and no job while there is none."""

    progress: float = 0
    eta_relative: float = 0
    state: State = Field(default_factory=State)
    current_image: str | None = None
    textinfo: str | None = None


class TaskRequest(RequestModel):
    """Which task is asked for."""

    model_config = ConfigDict(extra="ignore")

    id_task: Annotated[str, Field(max_length=MAX_TASK_ID)] | None = None
    id_live_preview: int = -1
    live_preview: bool = True


class TaskAnswer(BaseModel):
    """How far one task is; nothing of one that is not this key's."""

    active: bool = False
    queued: bool = False
    paused: bool = False
    completed: bool = False
    progress: float | None = None
    eta: float | None = None
    live_preview: str | None = None
    id_live_preview: int = -1
    textinfo: str | None = None


class PendingAnswer(BaseModel):
    """The tasks that wait."""

    size: int
    tasks: list[str]


@router.get("/sdapi/v1/progress", response_model=ProgressAnswer)
async def progress(
    gateway: GatewayDep,
    caller: MaySee,
    skip_current_image: Annotated[
        bool, Query(description="Leave out the picture on its way, which then is not made.")
    ] = False,
) -> Response:
    """How far this key's jobs are. Of several it is the oldest; `job_count` is how many.

    `current_image` is a JPEG in base64: what the oldest job's first unfinished image is heading
    for. It is made from the first look on, about once a second, for models that can.
    """
    instance = Instance.of(gateway, caller)
    answer = _progress(tasks := await instance.tasks())
    if tasks.unfinished and not skip_current_image:
        preview = await instance.look(tasks.unfinished[0])
        answer.current_image = None if preview is None else preview.jpeg
    return json_response(answer)


@router.post(
    "/internal/progress",
    response_model=TaskAnswer,
    openapi_extra=body_schema(TaskRequest, _EXAMPLE),
)
async def task_progress(gateway: GatewayDep, caller: MaySee, request: Request) -> Response:
    """How far the task with this `force_task_id` is.

    `live_preview` is its picture on the way, a `data:` URL, unless it is the one that the client
    has: that of `id_live_preview`.
    """
    wanted = await bodies.parse(request, TaskRequest)
    instance = Instance.of(gateway, caller)
    tasks = await instance.tasks()
    found = next((task for task in reversed(tasks.every) if task.id == wanted.id_task), None)
    if found is None:
        return json_response(TaskAnswer())
    answer = _task(found, tasks)
    if answer.active:
        answer.id_live_preview = wanted.id_live_preview
    if answer.active and wanted.live_preview:
        preview = await instance.look(found)
        if preview is not None and preview.number != wanted.id_live_preview:
            answer.live_preview = f"data:image/jpeg;base64,{preview.jpeg}"
            answer.id_live_preview = preview.number
    return json_response(answer)


@router.get("/internal/pending-tasks", response_model=PendingAnswer)
async def pending_tasks(gateway: GatewayDep, caller: MaySee) -> Response:
    """This key's tasks that wait."""
    tasks = await Instance.of(gateway, caller).tasks()
    waiting = [task.id for task in tasks.waiting]
    return json_response(PendingAnswer(size=len(waiting), tasks=waiting))


@router.post("/sdapi/v1/interrupt", response_model=dict[str, str], responses=example({}))
async def interrupt(gateway: GatewayDep, caller: MayDraw) -> Response:
    """Stop all of this key's unfinished jobs at this door.

    Requests that wait for them get the images that were finished before.
    """
    instance = Instance.of(gateway, caller)
    await instance.cancel((await instance.tasks()).unfinished)
    return json_text("{}")


@router.post("/sdapi/v1/skip", response_model=dict[str, str], responses=example({}))
async def skip(gateway: GatewayDep, caller: MayDraw) -> Response:
    """Stop the oldest of this key's unfinished jobs at this door; the others go on."""
    instance = Instance.of(gateway, caller)
    await instance.cancel((await instance.tasks()).unfinished[:1])
    return json_text("{}")


def _progress(tasks: Tasks) -> ProgressAnswer:
    if not (unfinished := tasks.unfinished):
        return ProgressAnswer()
    first = unfinished[0]
    done = _done(first)
    state = State(
        job=first.id,
        job_count=len(unfinished),
        job_timestamp=f"{datetime.fromtimestamp(first.created_ms // 1000, UTC):%Y%m%d%H%M%S}",
        sampling_step=first.step,
        sampling_steps=first.steps,
    )
    return ProgressAnswer(progress=done, eta_relative=_left_s(first, tasks.now_ms), state=state)


def _task(task: Task, tasks: Tasks) -> TaskAnswer:
    if not task.is_unfinished:
        return TaskAnswer(completed=True, textinfo="Waiting...")
    if task in (waiting := tasks.waiting):
        place = f"{waiting.index(task) + 1}/{len(waiting)}"
        return TaskAnswer(queued=True, textinfo=f"In queue: {place}")
    return TaskAnswer(active=True, progress=_done(task), eta=_left_s(task, tasks.now_ms))


def _done(task: Task) -> float:
    return min(1.0, _BEGUN + (task.step / task.steps if task.steps else 0))


def _left_s(task: Task, now_ms: int) -> float:
    """By how long it has taken so far; 0 while it has not begun."""
    if task.started_ms is None:
        return 0
    took_s = max(0, now_ms - task.started_ms) / 1000
    return took_s / _done(task) - took_s
