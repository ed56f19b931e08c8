"""Which operation of the API a call is, and what the fake answers to it."""

import re
from collections.abc import Callable
from typing import Final

import httpx

from latentry.contracts import (
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    GenerationRequest,
    InterpolationRequest,
    UpscaleRequest,
)
from latentry.testing import catalogue, files, reading
from latentry.testing.creating import create_generations, creates
from latentry.testing.state import FakeCall, State

Answer = Callable[[State, FakeCall], httpx.Response]

_JOB: Final = "/v1/generations/{job_id}"
# By operation id; where two paths match, the first one counts.
ANSWERS: Final[dict[str, tuple[str, str, Answer]]] = {
    "create_generation": ("POST", "/v1/generations", creates(GenerationRequest)),
    "create_generations": ("POST", "/v1/generations:batch", create_generations),
    "create_interpolation": ("POST", "/v1/interpolations", creates(InterpolationRequest)),
    "create_clip": ("POST", "/v1/clips", creates(ClipRequest)),
    "create_upscale": ("POST", "/v1/upscales", creates(UpscaleRequest)),
    "create_control": ("POST", "/v1/controls", creates(ControlRequest)),
    "create_caption": ("POST", "/v1/captions", creates(CaptionRequest)),
    "list_generations": ("GET", "/v1/generations", reading.list_generations),
    "get_generation": ("GET", _JOB, reading.get_generation),
    "delete_generation": ("DELETE", _JOB, reading.delete_generation),
    "cancel_generation": ("POST", f"{_JOB}/cancel", reading.cancel_generation),
    "watch_generation": ("GET", f"{_JOB}/events", reading.watch_generation),
    "list_deliveries": ("GET", f"{_JOB}/deliveries", reading.list_deliveries),
    "redeliver": ("POST", f"{_JOB}/deliveries/{{delivery_id}}/redeliver", reading.redeliver),
    "create_file": ("POST", "/v1/files", files.create_file),
    "list_files": ("GET", "/v1/files", files.list_files),
    "get_file_record": ("GET", "/v1/files/{file_id}", files.get_file_record),
    "get_file_content": ("GET", "/v1/files/{file_id}/content", files.get_file_content),
    "delete_file": ("DELETE", "/v1/files/{file_id}", files.delete_file),
    "get_file": ("GET", "/v1/files/{key}", files.get_file),
    "verify": ("POST", "/v1/verify", files.verify),
    "get_capabilities": ("GET", "/v1/capabilities", catalogue.get_capabilities),
    "list_models": ("GET", "/v1/models", catalogue.list_models),
    "get_model": ("GET", "/v1/models/{model_id}", catalogue.get_model),
    "list_adapters": ("GET", "/v1/adapters", catalogue.list_adapters),
    "list_styles": ("GET", "/v1/styles", catalogue.list_styles),
    "list_upscalers": ("GET", "/v1/upscalers", catalogue.list_upscalers),
    "get_usage": ("GET", "/v1/usage", catalogue.get_usage),
    "livez": ("GET", "/livez", catalogue.livez),
    "readyz": ("GET", "/readyz", catalogue.readyz),
}


def call_of(request: httpx.Request) -> FakeCall | None:
    """Which operation a request is of, with the parts of its path; None if it is of none.

    HEAD is of the operation that GET is of.
    """
    method = "GET" if request.method == "HEAD" else request.method
    for operation, (known, template, _) in ANSWERS.items():
        found = _pattern(template).fullmatch(request.url.path)
        if found and known == method:
            return FakeCall(operation, request, found.groupdict())
    return None


def methods_of(path: str) -> list[str]:
    """Those that a path supports; none if there is no such path."""
    known = {way for way, template, _ in ANSWERS.values() if _pattern(template).fullmatch(path)}
    known |= {"HEAD"} if "GET" in known else set()
    return [method for method in ("GET", "HEAD", "POST", "DELETE") if method in known]


def _pattern(template: str) -> re.Pattern[str]:
    # A key alone has slashes.
    parts = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    return re.compile(parts.replace("(?P<key>[^/]+)", "(?P<key>.+)"))
