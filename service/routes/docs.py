"""`/docs`: the API to read and to try, from local files: it works without internet."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

from latentry.errors import FileNotFound

router = APIRouter(include_in_schema=False)

# fastapi-offline is Swagger UI 5 in a wheel. (swagger-ui-bundle's 4.15 cannot read OpenAPI 3.1.)
_ASSETS: Final = files("fastapi_offline") / "static"
_SERVED: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The page."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="latentry",
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
    )


@router.get("/docs/{name}")
async def asset(name: str) -> FileResponse:
    """What the page loads."""
    if name not in _SERVED:
        raise FileNotFound
    return FileResponse(str(_ASSETS / name), headers={"Cache-Control": "max-age=86400"})
