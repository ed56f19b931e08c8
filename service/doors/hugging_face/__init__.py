"""Hugging Face's inference endpoints: text to image and image to image on `/hf/{model}`."""

from latentry.api_keys import Scope
from latentry.contracts import GenerationRequest
from latentry.settings import Settings
from service.access.auth import Allowed
from service.doors.hugging_face import inference
from service.doors.hugging_face.errors import HuggingFaceError, error
from service.doors.hugging_face.requests import InferenceRequest
from service.http.door import Door, LargeBody


def door(settings: Settings) -> Door:
    """Hugging Face's door."""
    limit = max(settings.max_input_body_bytes, settings.max_image_bytes)
    return Door(
        routers=(inference.router,),
        dialect=error,
        prefixes=(f"{inference.PREFIX}/",),
        models=(InferenceRequest,),
        failure=HuggingFaceError,
        examples=inference.EXAMPLES,
        tags=inference.TAGS,
        makes=GenerationRequest,
        waits=True,
        large_bodies=(LargeBody(inference.PATH, limit, Allowed(Scope.WRITE)),),
    )
