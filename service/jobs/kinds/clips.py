"""Admission of clips: a request for frames, resolved like one for a picture, and how many."""

from collections.abc import Sequence
from typing import Final

from latentry.contracts import ClipRequest, GenerationRequest
from latentry.contracts.fields.bounds import DEFAULT_FPS
from latentry.contracts.fields.clip import Clip
from latentry.errors import UnsupportedField
from latentry.ledger import CatalogueEntry
from latentry.rules.adapters.loras import with_tags
from latentry.rules.limits import refuse_unsupported
from latentry.rules.sequences.file_limits import refuse_impossible_file
from latentry.settings import Settings
from service.jobs.admission import Admitted, admitted, choose, requested_model, resolve

_FRAMES: Final = 16  # of diffusers' AnimateDiffPipeline


def admit_clip(
    request: ClipRequest,
    picture: GenerationRequest,
    entries: Sequence[CatalogueEntry],
    settings: Settings,
) -> Admitted:
    """Choose the model, fill in the defaults, check the limits and price the frames.

    `picture`: what the request says of its frames, with its prompts written out. Raises as `admit`,
    and TooManyFrames.
    """
    entry = choose(requested_model(picture, settings), entries)
    refuse_impossible_file(entry.card, request.output, request.fps)
    if with_tags(picture).loras:
        why = "Clips are drawn without LoRAs; remove their tags."
        raise UnsupportedField(why, fields={"/prompt": why})
    clip = Clip(
        frames=request.frames or min(_FRAMES, entry.card.limits.max_frames or _FRAMES),
        output=request.output,
        fps=request.fps or DEFAULT_FPS,
    )
    resolved = resolve(picture, entry.card, adapters=entry.adapters).model_copy(
        update={"clip": clip}
    )
    refuse_unsupported(entry.card, resolved)
    return admitted(entry, resolved, settings)
