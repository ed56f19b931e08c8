"""Waiting until the stack is ready, and what to try then."""

import asyncio
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

import httpx

from latentry.client import AsyncClient, Retries
from latentry.serve.stack import Stack

PROMPT: Final = "a red circle on a blue background"
POLL_S: Final = 0.2


async def ready(stack: Stack) -> None:
    """Return when the gateway accepts jobs and a worker serves a model. Raises StartFailed."""
    async with _http(stack) as http:
        while not await _is_ready(http):
            stack.check()
            await asyncio.sleep(POLL_S)


async def requires_key(stack: Stack) -> bool:
    """Whether requests without an API key are refused."""
    async with _http(stack) as http:
        answer = await _get(http, "/v1/models")
        return answer is not None and answer.status_code == httpx.codes.UNAUTHORIZED


def local_client(stack: Stack, retries: Retries | None = None) -> AsyncClient:
    """A client of this machine's service that ignores the proxies of the environment."""
    return AsyncClient(stack.local_url, retries=retries, transport=httpx.AsyncHTTPTransport())


def instructions(stack: Stack, *, with_key: bool = False) -> list[str]:
    """Lines for the terminal: the URL, and two commands that work as printed."""
    url = stack.settings.base_url
    body = shlex.quote(json.dumps({"prompt": PROMPT}))
    to = "" if url == "http://127.0.0.1:8000" else f" --url {url}"
    first = "Export LATENTRY_API_KEY=<a key> and try:" if with_key else "Try:"
    key = '-H "Authorization: Bearer $LATENTRY_API_KEY" ' if with_key else ""
    return [
        f"Ready on {url}; API documentation: {url}/docs. Ctrl-C stops everything. {first}",
        f"curl -s {url}/v1/generations {key}-H 'Prefer: wait=60' "
        f"-H 'Content-Type: application/json' -d {body}",
        f'{_latentry()} generate "{PROMPT}" -o out.png{to}',
    ]


def _http(stack: Stack) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=stack.local_url, trust_env=False)


async def _is_ready(http: httpx.AsyncClient) -> bool:
    answer = await _get(http, "/readyz")  # open without a key
    return answer is not None and answer.is_success and bool(answer.json().get("can_draw"))


async def _get(http: httpx.AsyncClient, path: str) -> httpx.Response | None:
    try:
        return await http.get(path)
    except httpx.TransportError:
        return None


def _latentry() -> str:
    """The command as it can be typed in this terminal."""
    ours = Path(sys.executable).with_name("latentry")
    if shutil.which("latentry") == str(ours):
        return "latentry"
    here = Path.cwd()
    return shlex.quote(str(ours.relative_to(here) if ours.is_relative_to(here) else ours))
