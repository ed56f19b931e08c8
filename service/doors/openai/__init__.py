"""OpenAI's Images API, `/v1/images/*`."""

from service.doors.openai import images
from service.doors.openai.dialect import ImagesRequest
from service.doors.openai.errors import envelope
from service.http.door import Door


def door() -> Door:
    """OpenAI's door."""
    return Door(
        routers=(images.router,),
        dialect=envelope,
        prefix=images.PREFIX,
        models=(ImagesRequest,),
    )
