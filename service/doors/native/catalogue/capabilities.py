"""`GET /v1/capabilities`: what the service can do, in one answer."""

from collections import Counter
from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from starlette.responses import Response

from latentry import __version__
from latentry.contracts import JobKind, OutputFormat, PromptSyntax
from latentry.contracts.batches import MAX_REQUESTS
from latentry.contracts.catalogue.capabilities import (
    Capabilities,
    Mode,
    ModelModes,
    ServiceLimits,
    modes,
)
from latentry.contracts.fields.bounds import MAX_IMAGES, MAX_PROMPT_CHARS
from latentry.settings import Settings
from service.access.auth import MayRead
from service.doors.answers import json_response
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON
from service.jobs.catalogue import adapters_of

router = APIRouter(tags=[Tag.MODELS], dependencies=[ACCEPTS_JSON])

# What makes the jobs of a kind, where not every model does.
_NEEDS = {
    JobKind.GENERATION: set(Mode) - {Mode.INTERPOLATION, Mode.CLIP},
    JobKind.INTERPOLATION: {Mode.INTERPOLATION},
    JobKind.CLIP: {Mode.CLIP},
}


@router.get("/v1/capabilities", response_model=Capabilities)
async def get_capabilities(gateway: GatewayDep, _: MayRead) -> Response:
    """Say what can be asked for: kinds of jobs, modes of models, formats, adapters, limits."""
    entries = await gateway.catalogue.entries()
    upscalers = await gateway.catalogue.upscalers()
    preprocessors = await gateway.catalogue.preprocessors()
    captioner = await gateway.catalogue.captioner()
    models = tuple(
        ModelModes(
            id=one.card.id,
            family=one.card.family,
            modes=modes(one.card.limits),
            workers=one.workers,
        )
        for one in entries
    )
    beside = {
        JobKind.UPSCALE: upscalers,
        JobKind.CONTROL: preprocessors,
        JobKind.CAPTION: captioner,
    }
    found = Capabilities(
        version=__version__,
        kinds=_kinds(models, beside),
        output_formats=tuple(OutputFormat),
        prompt_syntaxes=tuple(PromptSyntax),
        models=models,
        adapters=dict(Counter(one.kind for one in adapters_of(entries))),
        upscalers=tuple(one.card.id for one in upscalers),
        preprocessors=preprocessors.card.preprocessors if preprocessors else (),
        captioner=captioner.card.captioner if captioner else None,
        styles=len(gateway.library.styles),
        limits=_limits(gateway.settings),
    )
    return json_response(found)


def _kinds(models: Sequence[ModelModes], beside: Mapping[JobKind, object]) -> tuple[JobKind, ...]:
    known = {mode for model in models for mode in model.modes}
    made = [kind for kind, needs in _NEEDS.items() if known & needs]
    return (*made, *(kind for kind, found in beside.items() if found))


def _limits(settings: Settings) -> ServiceLimits:
    return ServiceLimits(
        images_per_request=MAX_IMAGES,
        requests_per_batch=MAX_REQUESTS,
        prompt_characters=MAX_PROMPT_CHARS,
        body_bytes=settings.max_body_bytes,
        body_with_pictures_bytes=settings.max_input_body_bytes,
        image_bytes=settings.max_image_bytes,
        image_pixels=settings.max_image_pixels,
        wait_s=settings.max_wait_s,
        keep_for_s=settings.longest_kept_s,
        url_ttl_s=settings.url_ttl_s,
    )
