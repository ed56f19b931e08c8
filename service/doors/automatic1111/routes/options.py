"""Options: those of the caller's key alone."""

from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, RootModel
from starlette.responses import Response

from latentry.errors import NoModel, UnknownModel
from service.doors.answers import body_schema, example, json_response, json_text
from service.doors.automatic1111.callers import MayDraw, MaySee
from service.doors.automatic1111.instance import Instance
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.translation.ignored import unknown_options
from service.gateway import GatewayDep
from service.http import bodies
from service.http.direct import DirectRoute

PATH: Final = "/sdapi/v1/options"
_EXAMPLE: Final = {"sd_model_checkpoint": "shapes"}

router = APIRouter(tags=["automatic1111"], route_class=DirectRoute)


class OptionsAnswer(BaseModel):
    """The options that mean something here."""

    model_config = ConfigDict(extra="allow")

    sd_model_checkpoint: str | None
    sd_checkpoint_hash: str | None = None
    sd_vae: str
    CLIP_stop_at_last_layers: int
    samples_format: str
    jpeg_quality: int
    control_net_no_detectmap: bool
    live_previews_enable: bool
    show_progress_every_n_steps: int
    eta_noise_seed_delta: int


class OptionsBody(RootModel[dict[str, Any]]):
    """All options, or some of them."""


@router.get(PATH, response_model=OptionsAnswer)
async def get_options(gateway: GatewayDep, caller: MaySee) -> Response:
    """The options of this key: its model, VAE, clip skip, file format."""
    instance = Instance.of(gateway, caller)
    options = await instance.options()
    found = options.model_dump() | {"sd_vae": options.sd_vae or "Automatic"}
    try:
        entry = await instance.entry(options.sd_model_checkpoint)
        found["sd_model_checkpoint"] = entry.card.id
    except (NoModel, UnknownModel):  # not yet, or no longer: its name is what can be changed
        pass
    return json_response(OptionsAnswer.model_validate(found))


@router.post(
    PATH,
    response_model=dict[str, str],
    responses=example({}),
    openapi_extra=body_schema(Options, _EXAMPLE),
)
async def set_options(gateway: GatewayDep, caller: MayDraw, request: Request) -> Response:
    """Set options of this key alone; the whole object of `GET` may be sent back.

    They are kept for 30 days from their last use. Options that mean nothing here are named in
    `X-Ignored-Fields`.
    """
    body = await bodies.parse(request, OptionsBody)
    await Instance.of(gateway, caller).set(body.root)
    return json_text("{}", headers=unknown_options(body.root))
