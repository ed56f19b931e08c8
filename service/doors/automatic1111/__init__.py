"""AUTOMATIC1111's API, `/sdapi/v1/*`, with ControlNet's: an instance for each API key."""

from typing import Final

from latentry.api_keys import Scope
from latentry.contracts import GenerationRequest
from latentry.settings import Settings
from service.access.auth import Allowed
from service.access.schemes import BASIC
from service.doors.automatic1111.answers.errors import ErrorAnswer, error_answer
from service.doors.automatic1111.examples import EXAMPLES
from service.doors.automatic1111.requests.detect import Detect
from service.doors.automatic1111.requests.extras import (
    ExtraBatchImages,
    ExtraSingleImage,
    Interrogate,
    PngInfo,
)
from service.doors.automatic1111.requests.generations import Img2Img, Txt2Img
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.routes import (
    catalogue,
    controlnet,
    extras,
    fixed,
    generations,
    options,
    progress,
)
from service.http.door import Door, LargeBody

_DRAWN: Final = (
    *generations.PATHS,
    extras.SINGLE,
    extras.BATCH,
    extras.INTERROGATE,
    controlnet.DETECT,
)
_READ: Final = (extras.PNG_INFO,)


def door(settings: Settings) -> Door:
    """AUTOMATIC1111's door."""
    paths = dict.fromkeys(_DRAWN, Scope.WRITE) | dict.fromkeys(_READ, Scope.READ)
    return Door(
        routers=(
            generations.router,
            extras.router,
            options.router,
            progress.router,
            catalogue.router,
            fixed.router,
            controlnet.router,
        ),
        dialect=error_answer,
        prefixes=("/sdapi/", "/internal/", "/controlnet/"),
        failure=ErrorAnswer,
        examples=EXAMPLES,
        tags={"automatic1111": "AUTOMATIC1111's API, an instance for each API key."},
        makes=GenerationRequest,
        waits=True,
        models=(
            Txt2Img,
            Img2Img,
            ExtraSingleImage,
            ExtraBatchImages,
            PngInfo,
            Interrogate,
            Options,
            progress.TaskRequest,
            Detect,
        ),
        large_bodies=tuple(
            LargeBody(path, settings.max_input_body_bytes, Allowed(scope, BASIC))
            for path, scope in paths.items()
        ),
    )
