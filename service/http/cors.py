"""Which web pages may call the service from a browser: those that LATENTRY_CORS_ORIGINS names.

Around everything else, so that pages can read failures too. Cookies mean nothing here, so none are
allowed.
"""

from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from latentry.settings import Settings
from latentry.settings.gateway import names

# What a script may read of a response besides its body.
_EXPOSED: Final = (
    *("X-Request-Id", "Retry-After", "Location", "Preference-Applied", "X-Ignored-Fields"),
    *("RateLimit", "RateLimit-Policy"),
)
_MAX_AGE_S: Final = 600


def install(app: FastAPI, settings: Settings) -> None:
    """Answer preflight requests, and allow the pages that are named."""
    if origins := names(settings.cors_origins):
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's client sends a dozen of its own
            expose_headers=_EXPOSED,
            max_age=_MAX_AGE_S,
        )
