"""The factory: the one place where the gateway is wired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from latentry import __version__
from latentry.api_keys import Scope
from latentry.settings import Settings
from service import description
from service.access.auth import Allowed
from service.doors.native import deliveries, docs, events, generations, health, models, usage
from service.doors.native import files as uploads
from service.doors.native import links as files
from service.doors.openai import images as openai
from service.gateway import Gateway
from service.http import problems
from service.http.bodies import BodyLimit, Larger
from service.http.request_context import RequestContext


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
    app.add_middleware(RequestContext, metrics=gateway.metrics)
    return app
