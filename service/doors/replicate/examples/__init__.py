"""What Replicate's answers look like here, for the API document."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel

from service.doors.replicate.responses import (
    Checksums,
    FileUrls,
    Metrics,
    Page,
    Prediction,
    PredictionUrls,
    ReplicateAccount,
    ReplicateFile,
    ReplicateModel,
    Status,
    Version,
)

TAG: Final = "Replicate API"
TAGS: Final = {TAG: "Replicate's predictions, models and files, for its clients."}
EVENTS: Final = (
    "event: logs\ndata:  40%|████      | 10/25\nid: 0\n\n"
    "event: output\ndata: https://latentry.example/v1/files/…\nid: 1-0\n\n"
    "event: done\ndata: {}\nid: 2-0\n\n"
)
_ID: Final = "gen_0f6a2c1d9b3e4857a6c1d2e3f4a5b6c7"
_FILE: Final = "file_7b0e4c92d1a84f35b6e7a8c9d0e1f2a3"
_ROOT: Final = "https://latentry.example/replicate/v1"
_AT: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
_PREDICTION: Final = Prediction(
    id=_ID,
    model="latentry/shapes",
    version="shapes",
    input={"prompt": "a red circle", "num_inference_steps": 25, "seed": 7},
    output=["https://latentry.example/v1/files/default/…?exp=1796041800&sig=…"],
    logs="100%|██████████| 25/25",
    status=Status.SUCCEEDED,
    metrics=Metrics(predict_time=1.2, total_time=1.4, image_count=1),
    created_at=_AT,
    started_at=_AT,
    completed_at=_AT,
    urls=PredictionUrls(
        get=f"{_ROOT}/predictions/{_ID}",
        cancel=f"{_ROOT}/predictions/{_ID}/cancel",
        stream=f"{_ROOT}/streams/default/{_ID}?exp=1796041800&sig=…",
    ),
)
_VERSION: Final = Version(
    id="shapes", created_at=_AT, cog_version="latentry", openapi_schema={"openapi": "3.1.0"}
)
_MODEL: Final = ReplicateModel(
    url=f"{_ROOT}/models/latentry/shapes",
    owner="latentry",
    name="shapes",
    description="SD 1.x",
    latest_version=_VERSION,
)
_PICTURE: Final = ReplicateFile(
    id=_FILE,
    name=f"{_FILE}.png",
    content_type="image/png",
    size=1_234,
    etag="0" * 64,
    checksums=Checksums(sha256="0" * 64),
    created_at=_AT,
    expires_at=_AT,
    urls=FileUrls(get=f"{_ROOT}/files/{_FILE}"),
)
EXAMPLES: Final[Mapping[str, BaseModel]] = {
    "Prediction": _PREDICTION,
    "Page_Prediction_": Page[Prediction](results=[_PREDICTION]),
    "Version": _VERSION,
    "Page_Version_": Page[Version](results=[_VERSION]),
    "ReplicateModel": _MODEL,
    "Page_ReplicateModel_": Page[ReplicateModel](results=[_MODEL]),
    "ReplicateFile": _PICTURE,
    "Page_ReplicateFile_": Page[ReplicateFile](results=[_PICTURE]),
    "ReplicateAccount": ReplicateAccount(username="acme", name="acme"),
}
