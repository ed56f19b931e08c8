"""What ControlNets would be shown of pictures: a control job each."""

from typing import Any, Final

from fastapi import Request

from latentry.contracts import ControlRequest, Preprocess
from latentry.ledger import Accepted, JobRecord
from service.access.auth import Caller
from service.doors.automatic1111.requests.detect import Detect
from service.doors.automatic1111.several import accepted_each, ended_each, request_of
from service.doors.automatic1111.translation.controls import IP_ADAPTER, MODULES, thresholds
from service.doors.automatic1111.translation.refusals import refuse
from service.doors.naming import named_as_sent
from service.doors.sizes import size_of
from service.doors.submit import submit
from service.gateway import Gateway

_RESOLUTION: Final = 512  # of a request that names none, as the extension's sliders
_NAMES: Final = {
    "preprocess": "controlnet_module",
    "thresholds": "controlnet_threshold_a",
    "width": "controlnet_processor_res",
    "height": "controlnet_processor_res",
}


async def detected(
    gateway: Gateway, caller: Caller, request: Request, body: Detect, idempotency_key: str | None
) -> list[JobRecord]:
    """The ended job of each picture; canceled as those of the extras are."""
    accepted = await _accepted(gateway, caller, request, body, idempotency_key)
    del body  # nobody keeps its pictures while the client waits
    return await ended_each(gateway, request, accepted, keep=idempotency_key is not None)


async def _accepted(
    gateway: Gateway, caller: Caller, request: Request, body: Detect, idempotency_key: str | None
) -> list[Accepted]:
    fields: dict[str, Any] = {"preprocess": _module(body.controlnet_module)}
    if not body.controlnet_input_images:
        refuse("controlnet_input_images", "No image selected.")
    if fields["preprocess"] is Preprocess.CANNY:
        fields["thresholds"] = thresholds(body.controlnet_threshold_a, body.controlnet_threshold_b)

    async def one(at: str, picture: str, key: str | None) -> Accepted:
        names = _NAMES | {"image": at}
        side = await _side(gateway, caller, body, picture) if "thresholds" in fields else {}
        own = request_of(ControlRequest, {**fields, **side, "image": picture}, names)
        with named_as_sent(names):
            return await submit(gateway, caller, own, key)

    pictures = {
        f"controlnet_input_images/{k}": one for k, one in enumerate(body.controlnet_input_images)
    }
    return await accepted_each(gateway, caller, request, pictures, one, idempotency_key)


def _module(name: str) -> Preprocess:
    """Raises UnsupportedField."""
    if name.lower().startswith(IP_ADAPTER):
        refuse("controlnet_module", "Module not supported: IP-Adapters read pictures themselves.")
    if (found := MODULES.get(name.lower())) is None:
        refuse("controlnet_module", f"Module not available; there are {', '.join(MODULES)}.")
    return found


async def _side(gateway: Gateway, caller: Caller, body: Detect, picture: str) -> dict[str, int]:
    """The shorter side, which the resolution is of. Raises UnsupportedField for a URL's."""
    wanted = body.controlnet_processor_res
    side = round(wanted) if wanted >= 1 else _RESOLUTION
    size = await size_of(gateway.files, caller.tenant, picture)
    if size is None:
        if picture.startswith("https:"):
            why = "Of a URL the size is not known yet; send the picture itself."
            refuse("controlnet_processor_res", why)
        return {}  # whatever is wrong with it, its reader says
    return {"width" if size[0] <= size[1] else "height": side}
