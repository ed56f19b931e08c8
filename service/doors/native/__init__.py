"""The native front API: jobs, events, files, the catalogue of what there is, usage, health."""

from latentry.api_keys import Scope
from latentry.contracts import (
    Batch,
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    Event,
    GenerationRequest,
    InterpolationRequest,
    UpscaleRequest,
    VerifyRequest,
)
from latentry.settings import Settings
from service.access.auth import Allowed
from service.doors.native import (
    batch,
    captions,
    controls,
    deliveries,
    docs,
    events,
    files,
    generations,
    health,
    interpolations,
    links,
    upscales,
    usage,
)
from service.doors.native.catalogue import adapters, capabilities, models, styles
from service.doors.native.examples import EXAMPLES
from service.doors.native.provenance import verify
from service.doors.native.sequences import clips
from service.doors.native.tags import TAGS
from service.http import problems
from service.http.door import Door, LargeBody


def door(settings: Settings) -> Door:
    """The native door. It has no prefix: paths that no other door serves are its own."""
    return Door(
        routers=(
            generations.router,
            batch.router,
            interpolations.router,
            clips.router,
            deliveries.router,
            events.router,
            capabilities.router,
            models.router,
            adapters.router,
            styles.router,
            upscales.router,
            controls.router,
            captions.router,
            verify.router,
            usage.router,
            files.router,  # before `links`, whose path matches all below /v1/files
            links.router,
            health.router,
            docs.router,
        ),
        dialect=problems.dialect,
        large_bodies=_large_bodies(settings),
        models=(
            GenerationRequest,
            Batch,
            InterpolationRequest,
            UpscaleRequest,
            ClipRequest,
            ControlRequest,
            CaptionRequest,
            VerifyRequest,
            Event,
        ),
        examples=EXAMPLES,
        tags=TAGS,
    )


def _large_bodies(settings: Settings) -> tuple[LargeBody, ...]:
    picture = settings.max_image_bytes + files.FORM_OVERHEAD_BYTES
    any_picture = max(settings.max_input_body_bytes, picture)
    return (
        LargeBody(files.PATH, picture, Allowed(Scope.FILES)),
        LargeBody(verify.PATH, any_picture, Allowed(Scope.READ)),
        *(
            LargeBody(path, settings.max_input_body_bytes, Allowed(Scope.WRITE))
            for path in (
                generations.PATH,
                interpolations.PATH,
                upscales.PATH,
                controls.PATH,
                captions.PATH,
            )
        ),
        LargeBody(batch.PATH, batch.MAX_BYTES, Allowed(Scope.WRITE)),
    )
