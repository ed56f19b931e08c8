"""The factory: the one place where doors, middleware and background parts are wired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from latentry import __version__
from latentry.settings import Settings
from service import description
from service.background import Background
from service.doors import automatic1111, hugging_face, native, openai, replicate
from service.gateway import Gateway
from service.http import cors, problems
from service.http.body_limit import BodyLimit
from service.http.path_prefix import PathPrefix
from service.http.request_context import RequestContext


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI app. Raises ConfigurationError."""
    gateway = Gateway.open(settings)
    background = Background.of(gateway)
    apis = (native, openai, automatic1111, replicate, hugging_face)
    doors = tuple(each.door(settings) for each in apis)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with background.running():
            yield

    app = FastAPI(
        title="latentry",
        version=__version__,
        description="Stable Diffusion as a service: prompts in, image URLs out.",
        lifespan=lifespan,
        docs_url=None,  # our own page at /docs needs no internet
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        root_path_in_servers=False,  # `description` names the server
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.gateway = gateway
    app.state.background = background
    app.state.doors = doors
    for door in doors:
        for router in door.routers:
            app.include_router(router)
    problems.install(app)
    description.install(app, doors, settings)
    large = [body for door in doors for body in door.large_bodies]
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, large=large)
    app.add_middleware(RequestContext, metrics=gateway.metrics)
    if settings.path_prefix:
        app.add_middleware(PathPrefix, prefix=settings.path_prefix)
    cors.install(app, settings)
    return app
