"""Admission: from a well-formed request to one with every default filled in, and its price."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from latentry.contracts import (
    Adapter,
    AnyRequest,
    Cost,
    GenerationRequest,
    Hires,
    InputFile,
    ModelCard,
    ResolvedRequest,
    Spacing,
    WantedHires,
)
from latentry.contracts.fields.bounds import MAX_SEED
from latentry.contracts.fields.places import FIELDS
from latentry.contracts.samplers import SAMPLER_SPACINGS
from latentry.errors import (
    InvalidRequest,
    NoModel,
    RequestTooExpensive,
    UnknownModel,
    UnsupportedField,
)
from latentry.ledger import AnyEntry, CatalogueEntry
from latentry.rules.adapters.controls import found_controls, refuse_other_sizes
from latentry.rules.adapters.embeddings.found import found_embeddings
from latentry.rules.adapters.found import found_vae
from latentry.rules.adapters.image_prompts import found_image_prompts
from latentry.rules.adapters.loras import found_loras, with_tags
from latentry.rules.limits import refuse_other_refiner, refuse_unsupported
from latentry.rules.pricing import Price, price
from latentry.rules.sequences.frames import with_files
from latentry.rules.styles import hint
from latentry.settings import Settings

_ALWAYS_DEAR: Final = ("/n", "/num_inference_steps", "/width", "/height")
# They cost something where they are given.
_DEAR: Final = ("hires", "intermediates", "image", "mask", "controls")
_VARIATION: Final = frozenset({"variation_seed", "variation_strength"})
STRENGTH: Final = 0.8  # of image to image, as in diffusers
_INPAINTING_STRENGTH: Final = 1.0
_REFINING_STRENGTH: Final = 0.3  # as in diffusers' pipeline for SDXL
_IMAGE_GUIDANCE_SCALE: Final = 1.5  # of edits, as in diffusers
RANDOM_SEEDS: Final = 2**32  # random seeds fit into 32 bits, as other programs' do


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may become a job of one queue."""

    entry: AnyEntry
    request: AnyRequest
    price: Price
    refiner: ModelCard | None = None


def requested_model(request: GenerationRequest, settings: Settings) -> str:
    """The model id that the request or LATENTRY_DEFAULT_MODEL names; empty if neither does."""
    return request.model or settings.default_model


def admit(
    request: GenerationRequest,
    entries: Sequence[CatalogueEntry],
    settings: Settings,
    inputs: Mapping[str, InputFile] | None = None,
) -> Admitted:
    """Choose the model, fill in the defaults, check the limits and price the request.

    `inputs`: the files of the pictures that it brings, by place: `image`, `controls/0/image`.

    Raises NoModel, UnknownModel, RequestTooExpensive or another InvalidRequest.
    """
    entry = choose(requested_model(request, settings), entries)
    resolved = resolve(request, entry.card, inputs, entry.adapters)
    return admitted(entry, resolved, settings, refiner_card(resolved, entry.card, entries))


def admitted(
    entry: CatalogueEntry,
    request: ResolvedRequest,
    settings: Settings,
    refiner: ModelCard | None = None,
) -> Admitted:
    """A resolved request with its price. Raises RequestTooExpensive."""
    priced = price(request, entry.card, refiner)
    refuse_expensive(priced.cost, settings.max_cost_step_megapixels, costly(request))
    return Admitted(entry, request, priced, refiner)


def with_inputs(one: Admitted, files: Mapping[str, InputFile], settings: Settings) -> Admitted:
    """The same with the files that were made for it, whose sizes it costs. As `admit` raises."""
    assert isinstance(one.request, ResolvedRequest), "a generation"
    assert isinstance(one.entry, CatalogueEntry), "of a model"
    return admitted(one.entry, with_files(one.request, files), settings, one.refiner)


def choose(model_id: str, entries: Sequence[CatalogueEntry]) -> CatalogueEntry:
    """The model of this id; for an empty id the first with a live worker, or else the first.

    Raises NoModel or UnknownModel.
    """
    if not entries:
        raise NoModel
    if not model_id:  # entries outlive their workers: the first may be long retired
        return next((entry for entry in entries if entry.workers), entries[0])
    for entry in entries:
        if entry.card.id == model_id:
            return entry
    near = hint(model_id, {entry.card.id: entry for entry in entries})
    raise UnknownModel(f"There is no model “{model_id}”{near} GET /v1/models lists all.")


def refiner_card(
    request: ResolvedRequest, card: ModelCard, entries: Sequence[CatalogueEntry]
) -> ModelCard | None:
    """The card of the model that makes the last steps, if another does. Raises InvalidRequest."""
    if request.refiner is None:
        return None
    refiner = next((one for one in entries if one.card.id == request.refiner), None)
    if refiner is None:
        why = f"There is no model {request.refiner}."
        raise UnsupportedField(why, fields={"/refiner": why})
    refuse_other_refiner(card, refiner.card, request)
    found_vae(request.vae, refiner.adapters, refiner.card)
    return refiner.card


def resolve(
    request: GenerationRequest,
    card: ModelCard,
    inputs: Mapping[str, InputFile] | None = None,
    adapters: Sequence[Adapter] = (),
) -> ResolvedRequest:
    """The request with every default filled in, and the adapters that its prompts name.

    The seed is drawn here, so that a job that is run again makes the same pictures. Raises
    InvalidRequest, or the subclass that names what the model does not support.
    """
    in_field, request = len(request.loras), with_tags(request)
    defaults = card.defaults.model_dump() | {"seed": secrets.randbelow(RANDOM_SEEDS)}
    given = request.model_dump(exclude_none=True, exclude={*FIELDS, "embeddings"})
    given |= {place: file for place, file in (inputs or {}).items() if place in FIELDS}
    given["vae"] = found_vae(request.vae, adapters, card)
    given["loras"] = found_loras(request.loras, adapters, card, in_field=in_field)
    given["controls"] = found_controls(
        request.controls, adapters, card, inputs=inputs or {}, resize_mode=request.resize_mode
    )
    prompts = request.image_prompts
    given["image_prompts"] = found_image_prompts(prompts, inputs or {}, adapters, card)
    if request.variation_strength:
        defaults["variation_seed"] = secrets.randbelow(RANDOM_SEEDS)
    elif {"variation_seed"} == request.model_fields_set & _VARIATION:
        why = "variation_seed has no effect without variation_strength."
        raise InvalidRequest(why, fields={f"/{name}": why for name in sorted(_VARIATION)})
    if request.hires is not None:
        given["hires"] = _hires(request.hires, defaults | given, card)
    defaults |= _of_picture(request, card)
    if defaults["spacing"] not in SAMPLER_SPACINGS[request.sampler or card.defaults.sampler]:
        defaults["spacing"] = Spacing.DEFAULT
    resolved = ResolvedRequest.model_validate(defaults | given | {"model": card.id})
    refuse_unsupported(card, resolved)
    refuse_other_sizes(resolved, adapters)
    _refuse_large_seeds(resolved)
    embeddings = found_embeddings(resolved, request.embeddings, adapters, card)
    return resolved.model_copy(update={"embeddings": embeddings})


def _of_picture(request: GenerationRequest, card: ModelCard) -> dict[str, float]:
    """The defaults of how its picture is used, if that is not said by another field."""
    if card.limits.edits:
        return {"image_guidance_scale": _IMAGE_GUIDANCE_SCALE}
    if request.image is None or request.denoise_start:
        return {}
    if card.limits.refines:
        return {"strength": _REFINING_STRENGTH}
    keeps_a_part = request.mask is not None or request.extend is not None
    return {"strength": _INPAINTING_STRENGTH if keeps_a_part else STRENGTH}


def _hires(wanted: WantedHires, first: Mapping[str, Any], card: ModelCard) -> Hires:
    """The second pass, by what is known of the first."""
    step, scale = card.limits.size_step, wanted.scale
    width, height = (
        own or round(first[side] * (scale or 1) / step) * step
        for side, own in (("width", wanted.width), ("height", wanted.height))
    )
    return Hires(
        width=width,
        height=height,
        steps=wanted.steps or first["num_inference_steps"] or 1,
        strength=wanted.strength,
        upscaler=wanted.upscaler,
    )


def _refuse_large_seeds(request: ResolvedRequest) -> None:
    last = request.n - 1
    seeds = {"seed": request.seed_of(last), "variation_seed": request.variation_seed_of(last)}
    for name, seed in seeds.items():
        if seed is not None and seed > MAX_SEED:
            why = f"The last image's seed, {name} + n - 1, must be at most {MAX_SEED}."
            raise InvalidRequest(why, fields={f"/{name}": why})


def costly(request: ResolvedRequest) -> tuple[str, ...]:
    """JSON pointers to the fields that cost something in this request."""
    given = [f"/{name}" for name in _DEAR if getattr(request, name) not in (None, ())]
    if request.clip is not None:
        return "/frames", *_ALWAYS_DEAR[1:]
    if request.interpolation is None:
        return (*_ALWAYS_DEAR, *given)
    return "/frames", *(f"/from{pointer}" for pointer in (*_ALWAYS_DEAR[1:], *given))


def refuse_expensive(cost: Cost, limit: float, at: Sequence[str]) -> None:
    """Raises RequestTooExpensive for a cost above the limit, in step-megapixels.

    `at`: JSON pointers to the fields that make it so.
    """
    if cost.step_megapixels > limit:
        why = (
            f"The request costs {cost.step_megapixels:,.1f} step-megapixels, and at most"
            f" {limit:,.1f} are allowed; request fewer images, fewer steps or a smaller size."
        )
        raise RequestTooExpensive(why, fields=dict.fromkeys(at, why))
