"""What the native door's bodies look like, for the API document: by the name of their model."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from service.doors.native.examples import catalogue, files, jobs

EXAMPLES: Final[Mapping[str, BaseModel]] = {
    type(one).__name__: one
    for one in (
        *(jobs.JOB, jobs.ESTIMATE, jobs.LIST, jobs.BATCH, jobs.DELIVERY, jobs.DELIVERIES),
        *(catalogue.CAPABILITIES, catalogue.MODEL, catalogue.MODELS, catalogue.ADAPTERS),
        *(catalogue.UPSCALERS, catalogue.STYLES),
        *(files.FILE, files.FILES, files.VERIFICATION, files.USAGE),
    )
}
EVENTS: Final = jobs.EVENTS
CANCELED: Final = jobs.CANCELED.model_dump(mode="json", by_alias=True)
