"""A door: one front API, declared as a record. The app loops over doors and knows none by name."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from latentry.contracts import Problem
from service.http.failures import Failure

# Renders a failed request in a door's error format.
Dialect = Callable[[Failure, Scope], Response]


class Sender(Protocol):
    """The caller who sends a body."""

    @property
    def tenant(self) -> str:
        """The tenant whose share of the concurrent large bodies it takes."""


class LargeBody:
    """POST bodies of one route that may exceed LATENTRY_MAX_BODY_BYTES.

    `path` is a route path such as `/v1/files` or `/models/{name}`, `limit` is in bytes, and
    `authenticate` names the sender before any of the body is read; it raises what refuses it.
    """

    def __init__(
        self, path: str, limit: int, authenticate: Callable[[Request], Awaitable[Sender]]
    ) -> None:
        self.limit = limit
        self.authenticate = authenticate
        self._pattern = compile_path(path)[0]

    def covers(self, path: str) -> bool:
        """Whether a request path is one of this route's."""
        return self._pattern.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class Door:
    """One front API. It translates to and from jobs and decides nothing.

    Its routes state by their caller's type (`service.access.auth`) the scope and the
    authentication scheme that they need. What the API document says of a door besides its routes is
    here too; which failures a route has follows from what it takes (`service/description`).
    """

    routers: Sequence[APIRouter]
    dialect: Dialect  # renders the failures of all paths that begin with one of `prefixes`
    prefixes: Sequence[str] = ("",)
    large_bodies: Sequence[LargeBody] = ()
    # For the API document: bodies that routes parse or write without FastAPI, and that of failures
    # as `dialect` writes it; what bodies look like, by the name of their model; its tags, each
    # with a sentence.
    models: Sequence[type[BaseModel]] = ()
    failure: type[BaseModel] = Problem
    examples: Mapping[str, BaseModel] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    # What the requests become that create jobs, where these are not our own; and whether their
    # answers wait for the job's end.
    makes: type[BaseModel] | None = None
    waits: bool = False


def door_of(scope: Scope) -> Door:
    """The door with the longest prefix of the request's path."""
    doors: Sequence[Door] = scope["app"].state.doors
    every = ((prefix, door) for door in doors for prefix in door.prefixes)
    fitting = [one for one in every if scope["path"].startswith(one[0])]
    return max(fitting, key=lambda one: len(one[0]))[1]
