"""Web pages of other origins: none may call the service unless a setting names them."""

import httpx
import pytest

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from service.app import create_app

SHOP = "https://shop.example"
PREFLIGHT = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-stainless-os",
}


async def call(settings: Settings, origins: str, method: str, path: str, **options):
    app = create_app(settings.model_copy(update={"cors_origins": origins}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client,
    ):
        return await client.request(method, path, **options)


@pytest.mark.parametrize("origins", ["", "https://other.example"])
async def test_no_other_page_may_call(settings, origins) -> None:
    asked = await call(settings, origins, "OPTIONS", "/v1/generations", headers=PREFLIGHT)
    assert asked.status_code >= 400
    assert "access-control-allow-origin" not in asked.headers
    read = await call(settings, origins, "GET", "/livez", headers={"Origin": SHOP})
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize("origins", [SHOP, f"http://localhost:3000, {SHOP}", "*"])
async def test_a_page_that_is_named_may_call(settings, origins) -> None:
    allowed = "*" if origins == "*" else SHOP
    asked = await call(settings, origins, "OPTIONS", "/v1/images/generations", headers=PREFLIGHT)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, allowed)
    assert "x-stainless-os" in asked.headers["access-control-allow-headers"]
    missing = await call(settings, origins, "GET", "/nowhere", headers={"Origin": SHOP})
    assert (missing.status_code, missing.headers["access-control-allow-origin"]) == (404, allowed)
    assert "X-Request-Id" in missing.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in missing.headers


@pytest.mark.parametrize(
    "origins", ["shop.example", "https://shop.example/", "https://a/b", "null"]
)
def test_what_is_no_origin_stops_the_start(origins) -> None:
    with pytest.raises(ConfigurationError, match=r"LATENTRY_CORS_ORIGINS .*an origin is"):
        Settings.from_env({"LATENTRY_CORS_ORIGINS": origins})
