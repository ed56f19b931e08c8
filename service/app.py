"""The factory: the one place where the gateway is wired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from latentry import __version__
from latentry.apikeys import Scope
from latentry.settings import Settings
from service import description, problems
from service.auth import Allowed
from service.bodies import BodyLimit, Larger
from service.exchange import Exchange
from service.gateway import Gateway
from service.routes import (
    deliveries,
    docs,
    events,
    files,
    generations,
    health,
    models,
    openai,
    uploads,
    usage,
)


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI app. Raises ConfigurationError."""
    gateway = Gateway.open(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    app = FastAPI(
        title="latentry",
        version=__version__,
        description="Stable Diffusion as a service: prompts in, picture URLs out.",
        lifespan=lifespan,
        docs_url=None,  # ours needs no internet
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.gateway = gateway
    app.state.dialects = {openai.PREFIX: openai.envelope}
    for door in (
        generations,
        deliveries,
        events,
        models,
        usage,
        uploads,
        files,
        openai,
        health,
        docs,
    ):
        app.include_router(door.router)
    problems.install(app)
    description.install(app)
    picture = Larger(settings.max_image_bytes + uploads.AROUND_IMAGE_BYTES, Allowed(Scope.FILES))
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, larger={uploads.PATH: picture})
    app.add_middleware(Exchange, metrics=gateway.metrics)
    return app
