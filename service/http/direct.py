"""Routes that FastAPI documents, and calls without resolving their parameters for every request.

Its resolver costs as much as everything else that the gateway does for a small request. What these
routes take needs no validation: the request, dependencies that take the request alone, headers and
parts of the path. A request with a query is still left to FastAPI, which checks it.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import Request, params
from fastapi.routing import APIRoute
from starlette.responses import Response

# One parameter's value.
Read = Callable[[Request], Awaitable[Any]]


class DirectRoute(APIRoute):
    """A route of a router with `route_class=DirectRoute`. Its endpoint returns a Response.

    Raises TypeError for an endpoint with a parameter that needs FastAPI.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute."""
        resolve, endpoint = super().get_route_handler(), self.endpoint
        checks = [_dependency(depends) for depends in self.dependencies]
        reads = _reads(endpoint)

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await resolve(request)
            for check in checks:
                await check(request)
            values = {name: await read(request) for name, read in reads}
            response: Response = await endpoint(**values)
            return response

        return handle


def _reads(endpoint: Callable[..., Any]) -> list[tuple[str, Read]]:
    hints = get_type_hints(endpoint, include_extras=True)
    parameters = inspect.signature(endpoint).parameters.values()
    return [(each.name, _read(each, hints[each.name])) for each in parameters]


def _read(parameter: inspect.Parameter, hint: Any) -> Read:
    if hint is Request:
        return _itself
    kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    match marks:
        case [params.Depends() as depends]:
            return _dependency(depends)
        case [params.Header(alias=str(name))]:
            return _header(name, parameter.default, is_list=kind == (list[str] | None))
        case [params.Query()] if parameter.default is not parameter.empty:
            return _constant(parameter.default)
        case [] if hint is str:
            return _path(parameter.name)
    raise TypeError(f"FastAPI has to read the parameter {parameter.name}.")


def _dependency(depends: params.Depends) -> Read:
    call: Any = depends.dependency
    if list(inspect.signature(call).parameters) != ["request"]:
        raise TypeError(f"FastAPI has to call the dependency {call}.")
    return call  # type: ignore[no-any-return]


def _header(name: str, default: Any, *, is_list: bool) -> Read:
    async def read(request: Request) -> Any:
        if is_list:
            return request.headers.getlist(name) or default
        return request.headers.get(name, default)

    return read


def _path(name: str) -> Read:
    async def read(request: Request) -> str:
        part: str = request.path_params[name]
        return part

    return read


def _constant(value: Any) -> Read:
    async def read(_: Request) -> Any:
        return value

    return read


async def _itself(request: Request) -> Request:
    return request
