"""Everything that crosses a boundary: frozen pydantic models and named constants, nothing else."""

from latentry.contracts.events import Event, EventType, Preview
from latentry.contracts.images import Image, OutputFormat, StoredImage
from latentry.contracts.jobs import Job, JobError, JobList, JobStatus, JobUrls, JobWarning, Progress
from latentry.contracts.models import Defaults, Limits, Model, ModelCard, ModelList
from latentry.contracts.problems import FieldError, Problem
from latentry.contracts.requests import (
    Determinism,
    GenerationRequest,
    PromptSyntax,
    ResolvedRequest,
)
from latentry.contracts.samplers import Sampler, Spacing

__all__ = [
    "Defaults",
    "Determinism",
    "Event",
    "EventType",
    "FieldError",
    "GenerationRequest",
    "Image",
    "Job",
    "JobError",
    "JobList",
    "JobStatus",
    "JobUrls",
    "JobWarning",
    "Limits",
    "Model",
    "ModelCard",
    "ModelList",
    "OutputFormat",
    "Preview",
    "Problem",
    "Progress",
    "PromptSyntax",
    "ResolvedRequest",
    "Sampler",
    "Spacing",
    "StoredImage",
]
