"""Replicate's HTTP API, under `/replicate`."""

from latentry.api_keys import Scope
from latentry.contracts import GenerationRequest
from latentry.settings import Settings
from service.access.auth import Allowed
from service.doors.replicate import files, models, predictions, streaming
from service.doors.replicate.access import TOKEN
from service.doors.replicate.errors import ReplicateProblem, problem
from service.doors.replicate.examples import EXAMPLES, TAGS
from service.doors.replicate.requests import ModelPredictionRequest, PredictionRequest
from service.doors.replicate.views import PREFIX
from service.http.door import Door, LargeBody


def door(settings: Settings) -> Door:
    """Replicate's door."""
    picture = settings.max_image_bytes + files.FORM_OVERHEAD_BYTES
    return Door(
        routers=(predictions.router, streaming.router, models.router, files.router),
        dialect=problem,
        prefixes=(f"{PREFIX}/",),
        models=(PredictionRequest, ModelPredictionRequest),
        failure=ReplicateProblem,
        examples=EXAMPLES,
        tags=TAGS,
        makes=GenerationRequest,
        large_bodies=(
            *(
                LargeBody(path, settings.max_input_body_bytes, Allowed(Scope.WRITE, TOKEN))
                for path in (predictions.PATH, predictions.OF_MODEL)
            ),
            LargeBody(files.PATH, picture, Allowed(Scope.FILES, TOKEN)),
        ),
    )
