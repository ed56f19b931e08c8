"""Admission of requests of all kinds."""

from collections.abc import Mapping

from latentry.contracts import (
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    InputFile,
    InterpolationRequest,
    ResolvedBackground,
    ResolvedCaption,
    ResolvedControl,
    UpscaleRequest,
)
from latentry.settings import Settings
from service.gateway import Gateway
from service.jobs.admission import Admitted, admit, requested_model, with_inputs
from service.jobs.inputs import Brought, Request
from service.jobs.kinds.captions import admit_caption, caption_with_inputs
from service.jobs.kinds.clips import admit_clip
from service.jobs.kinds.controls import admit_control, control_with_inputs
from service.jobs.kinds.interpolations import admit_interpolation, with_all_prompts
from service.jobs.kinds.upscales import admit_upscale, upscale_with_inputs
from service.jobs.prompts import with_prompts


async def admitted_to(gateway: Gateway, request: Request, found: Brought) -> Admitted:
    """The request with its price. Raises what the admission of its kind does."""
    settings = gateway.settings
    if isinstance(request, UpscaleRequest):
        return admit_upscale(request, await gateway.catalogue.upscalers(), settings, found.files)
    if isinstance(request, ControlRequest):
        entry = await gateway.catalogue.preprocessors()
        return admit_control(request, entry, settings, found.files)
    if isinstance(request, CaptionRequest):
        captioner = await gateway.catalogue.captioner()
        return admit_caption(request, captioner, settings, found.files)
    if isinstance(request, ClipRequest):
        picture = with_prompts(request.of_frames(), gateway.library)
        known = await gateway.catalogue.entries(including=requested_model(picture, settings))
        return admit_clip(request, picture, known, settings)
    first = request.from_ if isinstance(request, InterpolationRequest) else request
    entries = await gateway.catalogue.entries(including=requested_model(first, settings))
    if first.refiner is not None:
        entries = await gateway.catalogue.entries(including=first.refiner)
    if isinstance(request, InterpolationRequest):
        written = with_all_prompts(request, gateway.library)
        return admit_interpolation(written, entries, settings, found.files)
    return admit(with_prompts(request, gateway.library), entries, settings, found.files)


def with_files(admitted: Admitted, files: Mapping[str, InputFile], settings: Settings) -> Admitted:
    """The same with the files that were made for it. Raises the same."""
    if isinstance(admitted.request, ResolvedCaption):
        return caption_with_inputs(admitted, files)
    if isinstance(admitted.request, ResolvedControl):
        return control_with_inputs(admitted, files, settings)
    if isinstance(admitted.request, ResolvedBackground):
        return upscale_with_inputs(admitted, files, settings)
    return with_inputs(admitted, files, settings)
