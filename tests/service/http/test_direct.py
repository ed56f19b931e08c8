"""Routes that are called without FastAPI's resolver behave as with it."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from service.http.direct import DirectRoute


async def _color(request: Request) -> str:
    return request.headers.get("color", "none")


async def _checked(request: Request) -> None:
    request.state.is_checked = True


async def _show(
    request: Request,
    part: str,
    color: Annotated[str, Depends(_color)],
    one: Annotated[str | None, Header(alias="One")] = None,
    many: Annotated[list[str] | None, Header(alias="Many")] = None,
    size: Annotated[int, Query(ge=0)] = 7,
) -> Response:
    return JSONResponse([request.state.is_checked, part, color, one, many, size])


def _client(route_class: type[APIRoute]) -> httpx.AsyncClient:
    app, router = FastAPI(), APIRouter(route_class=route_class, dependencies=[Depends(_checked)])
    router.add_api_route("/{part}", _show)
    app.include_router(router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a", []),
        ("/a%20b", [("One", "x"), ("Many", "1"), ("Many", "2"), ("Color", "red")]),
        ("/a", [("One", "x"), ("One", "y"), ("Many", "")]),
        ("/a", [("One", "")]),
        ("/a?size=3", [("One", "x")]),
        ("/a?size=-3", []),
        ("/a?size=x", []),
        ("/a?other=1", []),
    ],
)
async def test_a_direct_route_answers_as_fastapi_would(
    path: str, headers: list[tuple[str, str]]
) -> None:
    async with _client(DirectRoute) as direct, _client(APIRoute) as resolved:
        one, other = [await client.get(path, headers=headers) for client in (direct, resolved)]
    assert (one.status_code, one.content) == (other.status_code, other.content)


async def _takes_more(request: Request, color: Annotated[str, Depends(_color)]) -> str:
    return color


async def _needs_a_query(size: Annotated[int, Query()]) -> Response:
    return Response()


async def _needs_a_number(part: int) -> Response:
    return Response()


async def _needs_a_resolver(color: Annotated[str, Depends(_takes_more)]) -> Response:
    return Response()


@pytest.mark.parametrize("endpoint", [_needs_a_query, _needs_a_number, _needs_a_resolver])
def test_an_endpoint_that_needs_fastapi_is_refused_at_start(endpoint: Any) -> None:
    with pytest.raises(TypeError, match="FastAPI has to"):
        APIRouter(route_class=DirectRoute).add_api_route("/{part}", endpoint)
