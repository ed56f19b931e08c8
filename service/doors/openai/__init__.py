"""OpenAI's Images API, `/v1/images/*`."""

from latentry.api_keys import Scope
from latentry.contracts import GenerationRequest
from latentry.settings import Settings
from service.access.auth import Allowed
from service.doors.openai import images
from service.doors.openai.errors import Envelope, envelope
from service.doors.openai.examples import EXAMPLES, TAGS
from service.doors.openai.requests import EditRequest, ImagesRequest, VariationRequest
from service.http.door import Door, LargeBody


def door(settings: Settings) -> Door:
    """OpenAI's door."""
    return Door(
        routers=(images.router,),
        dialect=envelope,
        prefixes=(images.PREFIX,),
        models=(ImagesRequest, EditRequest, VariationRequest),
        failure=Envelope,
        examples=EXAMPLES,
        tags=TAGS,
        makes=GenerationRequest,
        waits=True,
        large_bodies=tuple(
            LargeBody(path, settings.max_input_body_bytes, Allowed(Scope.WRITE))
            for path in images.PATHS
        ),
    )
