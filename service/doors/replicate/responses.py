"""What Replicate's clients read, as models."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")


class Status(StrEnum):
    """Replicate's states, without `aborted`: its Python client reads no such prediction."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Metrics(BaseModel):
    """How long an ended prediction took, in seconds, and how many images it has."""

    predict_time: float | None = Field(None, exclude_if=lambda time: time is None)
    total_time: float | None = Field(None, exclude_if=lambda time: time is None)
    image_count: int | None = Field(None, exclude_if=lambda count: count is None)


class PredictionUrls(BaseModel):
    """Absolute URLs. `stream` expires, and needs no API key."""

    get: str
    cancel: str
    stream: str


class Prediction(BaseModel):
    """A job, as Replicate's clients see one."""

    id: str
    model: str
    version: str
    input: dict[str, Any] = Field(description="As it was admitted: defaults and seed filled in.")
    output: list[str] | None = Field(
        None,
        description="The images' URLs, signed when this is read; `data:` URLs where the service's"
        " own URL is `http:`, as Replicate's clients make files of no other.",
    )
    logs: str = ""
    error: str | None = None
    status: Status
    source: Literal["api"] = "api"
    data_removed: bool = False
    metrics: Metrics = Field(default_factory=Metrics)
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deadline: datetime | None = Field(None, exclude_if=lambda time: time is None)
    urls: PredictionUrls


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    previous: str | None = None
    next: str | None = None
    results: list[T]


class Version(BaseModel):
    """The only version of a model, whose id is the model's."""

    id: str
    created_at: datetime
    cog_version: str
    openapi_schema: dict[str, Any]


class ReplicateModel(BaseModel):
    """A model of the catalogue."""

    url: str
    owner: str
    name: str
    description: str
    visibility: Literal["public", "private"] = "private"
    is_official: bool = False
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    run_count: int = Field(0, description="Always 0: it is not counted.")
    cover_image_url: str | None = None
    default_example: None = None
    latest_version: Version


class FileUrls(BaseModel):
    """What names the file in a prediction's input."""

    get: str


class Checksums(BaseModel):
    """Hashes of the file as it was sent."""

    sha256: str


class ReplicateFile(BaseModel):
    """A picture that was uploaded."""

    id: str
    name: str
    content_type: str
    size: int
    etag: str
    checksums: Checksums
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime
    expires_at: datetime
    urls: FileUrls


class ReplicateAccount(BaseModel):
    """Whose predictions and files the caller sees: the tenant's."""

    type: Literal["user", "organization"] = "organization"
    username: str
    name: str
    github_url: str | None = None
