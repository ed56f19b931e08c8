"""A job of the fake service: its script, its state, and how it is told."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from latentry.contracts import (
    AnyRequest,
    Cost,
    Delivery,
    DeliveryStatus,
    Event,
    EventType,
    Image,
    Job,
    JobKind,
    JobStatus,
    JobUrls,
    Output,
    OutputKind,
    Preview,
    Priority,
    Progress,
    Webhook,
    WebhookEvent,
)
from latentry.testing.drawing import PREVIEW_URL, Drawn, animate, draw
from latentry.testing.script import JobScript

Resolved: TypeAlias = AnyRequest
_STEPS_TOLD: Final = 4


@dataclass(slots=True)
class FakeJob:
    """One job. It moves when it is read: queued, running while `polls` are left, then its end."""

    request: Resolved
    script: JobScript
    priority: Priority = Priority.NORMAL
    webhook: Webhook | None = None
    id: str = field(default_factory=lambda: f"gen_{secrets.token_hex(16)}")
    status: JobStatus = JobStatus.QUEUED
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    finished_at: datetime | None = None
    files: dict[str, tuple[OutputKind, Drawn]] = field(default_factory=dict)
    """What it stored, by file name."""
    _polls_left: int = field(init=False)

    def __post_init__(self) -> None:
        self._polls_left = self.script.polls

    def advance(self, *, wholly: bool = False) -> None:
        """It was read, and so goes on: a step, or `wholly` to its end. Raises NotFaked."""
        if self.status.is_terminal:
            return
        self.started_at = self.started_at or datetime.now(UTC)
        if self._polls_left and not wholly:
            self._polls_left -= 1
            self.status = JobStatus.RUNNING
        else:
            self.end(self.script.ends)

    def end(self, status: JobStatus) -> None:
        """It ends, unless it has: with its pictures, if it succeeds. Raises NotFaked."""
        if self.status.is_terminal:
            return
        if status is JobStatus.SUCCEEDED:
            self.files = dict(_files(self.request))
        self.status, self.finished_at = status, datetime.now(UTC)

    def told(self, base_url: str, signature: str) -> Job:
        """As the service would tell it, with URLs that this signature is good for."""
        here = f"{base_url}/v1/generations/{self.id}"
        outputs = [self._output(name, base_url, signature) for name in self.files]
        return Job(
            id=self.id,
            kind=self.request.kind,
            status=self.status,
            request=self.request,
            images=[_image(one) for one in outputs if one.kind.is_final],
            outputs=outputs,
            caption=self._caption,
            error=self.script.error if self.status is JobStatus.FAILED else None,
            warnings=list(self.script.warnings),
            progress=self._progress,
            priority=self.priority,
            cost=cost_of(self.request),
            queue_position=0 if self.status is JobStatus.QUEUED else None,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            urls=JobUrls(self=here, events=f"{here}/events", cancel=f"{here}/cancel"),
        )

    def events(self, base_url: str, signature: str) -> Iterator[Event]:
        """Its life from the beginning; it must have ended. Steps and previews have no id."""
        job = self.told(base_url, signature)
        yield Event(type=EventType.QUEUED, id="1-0", position=0)
        yield Event(type=EventType.RUNNING, id="2-0")
        yield from self._steps()
        ids = (f"{number}-0" for number in range(3, 3 + len(job.outputs)))
        for at, output in zip(ids, job.outputs, strict=True):
            if output.kind.is_final:
                yield Event(type=EventType.IMAGE, id=at, image=_image(output))
            else:
                yield Event(type=EventType.OUTPUT, id=at, output=output)
        yield Event(type=EventType(self.status), id=f"{3 + len(job.outputs)}-0", job=job)

    def deliveries(self) -> list[Delivery]:
        """That its webhook was told, as if a receiver had taken it."""
        if self.webhook is None or self.finished_at is None:
            return []
        delivery = Delivery(
            id=f"msg_{self.id}",
            event=WebhookEvent(self.status),
            status=DeliveryStatus.DELIVERED,
            created_at=self.finished_at,
        )
        return [delivery] if delivery.event in self.webhook.events else []

    @property
    def _caption(self) -> str | None:
        if self.request.kind is not JobKind.CAPTION or self.status is not JobStatus.SUCCEEDED:
            return None
        return "a picture"

    @property
    def _progress(self) -> Progress | None:
        steps = self.request.total_steps
        if self.status is JobStatus.QUEUED:
            return None
        made = self.script.polls - self._polls_left
        step = steps if self.status.is_terminal else steps * made // (self.script.polls + 1)
        return Progress(step=step, steps=steps)

    def _steps(self) -> Iterator[Event]:
        steps, every = self.request.total_steps, self.request.preview_interval
        for part in range(1, _STEPS_TOLD + 1):
            step = max(1, steps * part // _STEPS_TOLD)
            yield Event(type=EventType.STEP, progress=Progress(step=step, steps=steps))
            if every:
                preview = Preview(index=0, step=step, url=PREVIEW_URL)
                yield Event(type=EventType.PREVIEW, preview=preview)

    def _output(self, name: str, base_url: str, signature: str) -> Output:
        kind, drawn = self.files[name]
        index = 0 if kind is OutputKind.CLIP else int(name.partition(".")[0])
        return Output(
            index=index,
            name="",
            kind=kind,
            seed=self.request.seed_of(index),
            width=drawn.width,
            height=drawn.height,
            content_type=drawn.content_type,
            pixel_sha256=drawn.pixel_sha256,
            url=f"{base_url}/v1/files/fake/{self.id}/{name}?exp=9999999999&sig={signature}",
        )


def cost_of(request: Resolved) -> Cost:
    """A price of the right order."""
    width, height = request.final_size
    megapixels = width * height * request.pictures / 1e6
    return Cost(step_megapixels=megapixels * request.total_steps, worker_seconds=1.0)


def _image(output: Output) -> Image:
    return Image(**output.model_dump(exclude={"name", "kind", "step", "error"}))


def _files(request: Resolved) -> Iterator[tuple[str, tuple[OutputKind, Drawn]]]:
    """The pictures of a request by their names, and the clip of them, if there is one."""
    if request.kind is JobKind.CAPTION:
        return
    prompt = getattr(request, "prompt", "")
    kind = OutputKind.FRAME if request.is_sequence else OutputKind.IMAGE
    frames = list[Drawn]()
    for index in range(request.pictures):
        text = f"{prompt}/{request.seed_of(index)}/{index}"
        frames.append(draw(text, request.final_size, request.output_format))
        yield f"{index}{request.output_format.suffix}", (kind, frames[-1])
    sequence = getattr(request, "clip", None) or getattr(request, "interpolation", None)
    form = sequence.output.clip if sequence else None
    if sequence and form:
        data = animate([one.data for one in frames], form.value, sequence.fps)
        first = frames[0]
        clip = Drawn(data, form.content_type, first.width, first.height, first.pixel_sha256)
        yield f"clip{form.suffix}", (OutputKind.CLIP, clip)
