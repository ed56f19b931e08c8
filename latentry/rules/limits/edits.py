"""What models that only edit or refine pictures need, and what means nothing to them."""

from typing import Final

from latentry.contracts import ModelCard, ResolvedRequest
from latentry.errors import InvalidRequest, UnsupportedField

# They start from pure noise, and the whole picture stands beside it in every call.
_MEANINGLESS: Final = ("mask", "extend", "strength", "denoise_start", "hires")


def check_edit(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises InvalidRequest or UnsupportedField."""
    if card.limits.refines:
        _check_refinement(card, request)
    if not card.limits.edits:
        if request.image_guidance_scale is not None:
            why = f"{card.id} does not edit pictures: only InstructPix2Pix models take this."
            raise UnsupportedField(why, fields={"/image_guidance_scale": why})
        return
    if request.image is None:
        why = f"{card.id} edits pictures: name the one to edit."
        raise InvalidRequest(why, fields={"/image": why})
    if given := [name for name in _MEANINGLESS if getattr(request, name)]:
        why = f"{card.id} edits whole pictures from pure noise, without {' and '.join(given)}."
        raise UnsupportedField(why, fields={f"/{name}": why for name in given})


def _check_refinement(card: ModelCard, request: ResolvedRequest) -> None:
    if request.image is None:
        why = f"{card.id} refines pictures: name the one to refine."
        raise InvalidRequest(why, fields={"/image": why})
    if request.target_size is not None:
        why = f"{card.id} takes an aesthetic score where others take target_size."
        raise UnsupportedField(why, fields={"/target_size": why})
