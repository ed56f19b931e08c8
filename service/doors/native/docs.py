"""`/docs`: the interactive API reference, from local files, so that it works offline."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

from latentry import __version__
from latentry.errors import FileNotFound
from service.gateway import GatewayDep

router = APIRouter(include_in_schema=False)

# fastapi-offline packages Swagger UI 5; swagger-ui-bundle has 4.15, which cannot read OpenAPI 3.1.
_ASSETS: Final = files("fastapi_offline") / "static"
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_SERVED: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")


@router.get("/")
async def root(gateway: GatewayDep) -> dict[str, str]:
    """What this is, and where to read on."""
    url = gateway.settings.base_url
    return {
        "service": "latentry",
        "version": __version__,
        "docs": f"{url}/docs",
        "openapi": f"{url}/openapi.json",
        "health": f"{url}/readyz",
    }


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Interactive API reference."""
    page = get_swagger_ui_html(  # relative URLs, because a reverse proxy may add a path prefix
        openapi_url="openapi.json",
        title="latentry",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon.png",
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
    return page


def _policy(page: bytes) -> str:
    # Only the page's own files, and its inline script by hash.
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


@router.get("/docs/{name}")
async def asset(name: str) -> FileResponse:
    """Scripts and styles of the page."""
    if name not in _SERVED:
        raise FileNotFound
    return FileResponse(str(_ASSETS / name), headers={"Cache-Control": "max-age=86400"})
