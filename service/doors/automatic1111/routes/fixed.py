"""Routes that clients ask for, and whose answer is the same for all: what is not here."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.responses import Response

from service.doors.answers import example, json_response, json_text
from service.doors.automatic1111.answers.lists import Item, Memory, ScriptInfo, ScriptsList
from service.doors.automatic1111.callers import MayDraw, MaySee
from service.http.direct import DirectRoute

_SCRIPTS: Final = ("controlnet",)
_UNAVAILABLE: Final = {"error": "unavailable"}  # as AUTOMATIC1111 has it without a GPU
_EMPTY: Final = (
    ("hypernetworks", "None are here."),
    ("face-restorers", "None are here."),
    ("realesrgan-models", "See `upscalers`."),
    ("sd-modules", "Forge's; see `sd-vae`."),
    ("extensions", "None are here."),
)
_DONE: Final = (
    ("refresh-checkpoints", "{}"),
    ("refresh-vae", "{}"),
    ("refresh-loras", "{}"),
    ("refresh-embeddings", "{}"),
    ("unload-checkpoint", "{}"),
    ("reload-checkpoint", "{}"),
)

router = APIRouter(prefix="/sdapi/v1", tags=["automatic1111"], route_class=DirectRoute)


@router.get("/scripts", response_model=ScriptsList)
async def sd_scripts(_: MaySee) -> Response:
    """The scripts that are here: `alwayson_scripts` may name them."""
    return json_response(ScriptsList(txt2img=list(_SCRIPTS), img2img=list(_SCRIPTS)))


@router.get(
    "/script-info",
    response_model=list[ScriptInfo],
    responses=example(
        [{"name": "controlnet", "is_alwayson": True, "is_img2img": False, "args": []}]
    ),
)
async def sd_script_info(_: MaySee) -> Response:
    """The same, one by one."""
    found = [
        ScriptInfo(name=name, is_alwayson=True, is_img2img=is_img2img, args=[])
        for name in _SCRIPTS
        for is_img2img in (False, True)
    ]
    return json_text(to_json(found).decode())


@router.get("/memory", response_model=Memory)
async def sd_memory(_: MaySee) -> Response:
    """Of the workers' machines nothing is said."""
    return json_response(Memory(ram=_UNAVAILABLE, cuda=_UNAVAILABLE))


@router.get("/cmd-flags", response_model=dict[str, bool], responses=example({"api": True}))
async def sd_cmd_flags(_: MaySee) -> Response:
    """The flags of an AUTOMATIC1111 that has an API and nothing else."""
    return json_text('{"api":true,"nowebui":true}')


def _answering(text: str, allowed: Any) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(_: allowed) -> Response:
        return json_text(text)

    return answer


def _name(path: str) -> str:
    return f"sd_{path.replace('-', '_')}"


for _path, _why in _EMPTY:
    router.add_api_route(
        f"/{_path}",
        _answering("[]", MaySee),
        methods=["GET"],
        response_model=list[Item],
        responses=example([]),
        name=_name(_path),
        summary=f"Always empty: {_path}",
        description=_why,
    )
for _path, _text in _DONE:
    router.add_api_route(
        f"/{_path}",
        _answering(_text, MayDraw),
        methods=["POST"],
        response_model=dict[str, str],
        responses=example({}),
        name=_name(_path),
        summary=f"Does nothing: {_path}",
        description="Models and adapters are found, loaded and unloaded by themselves.",
    )
