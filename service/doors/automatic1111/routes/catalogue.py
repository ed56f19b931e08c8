"""What there is: models, samplers, upscalers, adapters, styles, by AUTOMATIC1111's names."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from latentry.contracts import Adapter, AdapterKind
from latentry.errors import NoModel, UnknownModel
from latentry.ledger import CatalogueEntry
from service.doors.answers import example, json_response, json_text
from service.doors.automatic1111.answers.lists import (
    EmbeddingItem,
    Embeddings,
    LoraItem,
    ModelItem,
    NameItem,
    SamplerItem,
    SchedulerItem,
    StyleItem,
    UpscalerItem,
    VaeItem,
)
from service.doors.automatic1111.callers import MaySee
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.translation.hires import UPSCALERS
from service.doors.automatic1111.translation.sampling import (
    ALIASES,
    NAMES,
    SCHEDULERS,
    scheduler_name,
)
from service.gateway import Gateway, GatewayDep
from service.http.direct import DirectRoute
from service.jobs.catalogue import adapters_of

_LATENT: Final = "Latent"
router = APIRouter(prefix="/sdapi/v1", tags=["automatic1111"], route_class=DirectRoute)


@router.get(
    "/sd-models",
    response_model=list[ModelItem],
    responses=example([{"title": "shapes", "model_name": "shapes", "filename": "shapes"}]),
)
async def sd_models(gateway: GatewayDep, _: MaySee) -> Response:
    """The models. A title is a model's id; there are no files to name."""
    ids = [entry.card.id for entry in await gateway.catalogue.entries()]
    return listed([ModelItem(title=id, model_name=id, filename=id) for id in ids])


@router.get(
    "/samplers",
    response_model=list[SamplerItem],
    responses=example([{"name": "Euler", "aliases": ["k_euler"], "options": {}}]),
)
async def sd_samplers(gateway: GatewayDep, caller: MaySee) -> Response:
    """The samplers of this key's model."""
    entry = await _current(gateway, caller)
    own = NAMES if entry is None else entry.card.samplers
    named = [sampler for sampler in own if sampler in NAMES]
    return listed(
        [
            SamplerItem(name=NAMES[one], aliases=list(ALIASES.get(one, ())), options={})
            for one in named
        ]
    )


@router.get(
    "/schedulers",
    response_model=list[SchedulerItem],
    responses=example([{"name": "karras", "label": "Karras"}]),
)
async def sd_schedulers(_: MaySee) -> Response:
    """The schedule types."""
    items = [SchedulerItem(name=scheduler_name(label), label=label) for label in SCHEDULERS]
    return listed(items)


@router.get(
    "/upscalers",
    response_model=list[UpscalerItem],
    responses=example([{"name": "Lanczos", "scale": 8}]),
)
async def sd_upscalers(gateway: GatewayDep, _: MaySee) -> Response:
    """The upscalers of `extra-single-image`; of them `Lanczos` makes hires fix too."""
    cards = [entry.card for entry in await gateway.catalogue.upscalers()]
    found = [UpscalerItem(name="None", scale=4)]
    found += [UpscalerItem(name=_upscaler(card.id), scale=card.scale) for card in cards]
    return listed(found)


@router.get(
    "/latent-upscale-modes", response_model=list[NameItem], responses=example([{"name": "Latent"}])
)
async def latent_upscale_modes(_: MaySee) -> Response:
    """How hires fix enlarges latents."""
    return listed([NameItem(name=_LATENT)])


@router.get(
    "/sd-vae",
    response_model=list[VaeItem],
    responses=example([{"model_name": "glass", "filename": "glass"}]),
)
async def sd_vae(gateway: GatewayDep, _: MaySee) -> Response:
    """The VAEs."""
    ids = [one.id for one in await _adapters(gateway, AdapterKind.VAE)]
    return listed([VaeItem(model_name=id, filename=id) for id in ids])


@router.get(
    "/loras",
    response_model=list[LoraItem],
    responses=example([{"name": "ink", "alias": "Ink", "path": "ink", "metadata": {}}]),
)
async def sd_loras(gateway: GatewayDep, _: MaySee) -> Response:
    """The LoRAs, which prompts name by `<lora:name:1>`."""
    return listed(
        [
            LoraItem(name=one.id, alias=one.title or one.id, path=one.id, metadata=_metadata(one))
            for one in await _adapters(gateway, AdapterKind.LORA)
        ]
    )


@router.get("/embeddings", response_model=Embeddings)
async def sd_embeddings(gateway: GatewayDep, caller: MaySee) -> Response:
    """The embeddings: those that fit this key's model, and the others."""
    entry = await _current(gateway, caller)
    found = Embeddings(loaded={}, skipped={})
    for one in await _adapters(gateway, AdapterKind.EMBEDDING):
        fits = entry is not None and entry.card.id in one.models
        group = found.loaded if fits else found.skipped
        group[one.id] = EmbeddingItem(vectors=one.vectors)
    return json_response(found)


@router.get(
    "/prompt-styles",
    response_model=list[StyleItem],
    responses=example([{"name": "night", "prompt": "{prompt}, at night", "negative_prompt": ""}]),
)
async def prompt_styles(gateway: GatewayDep, _: MaySee) -> Response:
    """The styles."""
    styles = gateway.library.styles.values()
    return listed(
        [
            StyleItem(name=one.name, prompt=one.prompt, negative_prompt=one.negative_prompt)
            for one in styles
        ]
    )


def listed(items: Sequence[BaseModel]) -> Response:
    """A list as JSON."""
    return json_text(to_json(items).decode())


async def _current(gateway: Gateway, caller: MaySee) -> CatalogueEntry | None:
    """This key's model; None if it is there no longer, or none is."""
    instance = Instance.of(gateway, caller)
    try:
        return await instance.entry((await instance.options()).sd_model_checkpoint)
    except (NoModel, UnknownModel):
        return None


async def _adapters(gateway: Gateway, kind: AdapterKind) -> list[Adapter]:
    every = adapters_of(await gateway.catalogue.entries())
    return [one for one in every if one.kind is kind and one.models]


def _metadata(lora: Adapter) -> dict[str, str]:
    words = ", ".join(lora.trigger_words)
    return {"ss_output_name": lora.id} | ({"modelspec.trigger_phrase": words} if words else {})


def _upscaler(id: str) -> str:
    """As its users write it, where AUTOMATIC1111 has it too."""
    return {name.lower(): name for name in UPSCALERS}.get(id, id)
