"""What the fake service remembers."""

import base64
import binascii
import hashlib
import json
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from latentry.contracts import (
    ClipFormat,
    Defaults,
    File,
    InputFile,
    Job,
    Limits,
    ModelCard,
    Pace,
    Sampler,
)
from latentry.errors import BrokenImage, FileGone, FileNotFound, JobNotFound, UnsupportedImage
from latentry.testing.drawing import size_of
from latentry.testing.jobs import FakeJob
from latentry.testing.script import JobScript, Refusal

_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


@dataclass(frozen=True, slots=True)
class FakeCall:
    """A call that the fake service was sent: which operation of the API, and the HTTP request."""

    operation: str
    request: httpx.Request
    path: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, if it is JSON; else ValueError."""
        return json.loads(self.request.content)


@dataclass(slots=True)
class State:
    """Jobs, files and what was told to happen."""

    url: str
    api_key: str | None
    card: ModelCard
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    files: dict[str, tuple[File, bytes]] = field(default_factory=dict)
    job_of_key: dict[str, tuple[str, FakeJob]] = field(default_factory=dict)
    """By idempotency key: a hash of the body, and the job that it made."""
    scripts: deque[JobScript] = field(default_factory=deque)
    refusals: list[Refusal] = field(default_factory=list)
    calls: list[FakeCall] = field(default_factory=list)
    links: int = 1
    """How often URLs were signed anew; those signed before have expired."""
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - seeds of pictures

    def seed(self) -> int:
        """The seed of a job that names none, the same in every run."""
        return self.random.randrange(2**32)

    def job(self, job_id: str) -> FakeJob:
        """The job. Raises JobNotFound."""
        if job_id not in self.jobs:
            raise JobNotFound
        return self.jobs[job_id]

    def told(self, job: FakeJob) -> Job:
        """The job with URLs that work now."""
        return job.told(self.url, str(self.links))

    def refused(self, operation: str) -> Refusal | None:
        """How this call is to be refused, if it is."""
        found = next((one for one in self.refusals if one.concerns(operation)), None)
        if found:
            self.refusals.remove(found)
        return found

    def file(self, file_id: str) -> tuple[File, bytes]:
        """An uploaded file. Raises FileNotFound."""
        if file_id not in self.files:
            raise FileNotFound
        return self.files[file_id]

    def keep(self, data: bytes) -> File:
        """Store a picture. Raises UnsupportedImage; what it shows is not looked at."""
        if not kind_of(data).startswith("image/"):
            raise UnsupportedImage
        width, height = size_of(data)
        digest, now = hashlib.sha256(data).hexdigest(), datetime.now(UTC)
        file = File(
            id=f"file_{secrets.token_hex(16)}",
            bytes=len(data),
            width=width,
            height=height,
            content_type="image/png",
            sha256=digest,
            pixel_sha256=digest,
            created_at=now,
            expires_at=now + timedelta(days=1),
        )
        self.files[file.id] = file, data
        return file

    def find(self, reference: str) -> InputFile:
        """The file that a request names; a URL stands for some picture, and is not fetched.

        Raises FileGone, UnsupportedImage or BrokenImage.
        """
        if reference.startswith("file_"):
            if reference not in self.files:
                raise FileGone
            file, _ = self.files[reference]
        else:
            file = self.keep(bytes_of(reference))
        return InputFile(
            file=file.id, pixel_sha256=file.pixel_sha256, width=file.width, height=file.height
        )


def bytes_of(reference: str) -> bytes:
    """The picture of a `data:` URL, or of another URL a made-up one. Raises BrokenImage."""
    if not reference.startswith("data:"):
        return b"\x89PNG" + reference.encode()[:16]
    try:
        return base64.b64decode(reference.partition(",")[2], validate=True)
    except binascii.Error:
        raise BrokenImage("The data: URL is not valid base64.") from None


def kind_of(data: bytes) -> str:
    """The media type of a file, by its first bytes."""
    found = (kind for magic, kind in _MAGIC.items() if data.startswith(magic))
    return next(found, "application/octet-stream")


def card_of(model: str) -> ModelCard:
    """A model like Stable Diffusion 1.5, that can all that the service knows."""
    return ModelCard(
        id=model,
        family="SD 1.x",
        limits=Limits(
            max_side=2048,
            max_clip_skip=12,
            images=True,
            previews=True,
            clips=tuple(ClipFormat),
            max_frames=16,
        ),
        defaults=Defaults(
            width=512,
            height=512,
            num_inference_steps=25,
            guidance_scale=7.5,
            sampler=Sampler.DPMPP_2M,
        ),
        samplers=list(Sampler),
        created=1_700_000_000,
        pace=Pace(step_megapixel_s=0.1, images_at_once=8),
    )
