"""When the stack can draw, and what to try then."""

import asyncio
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

import httpx

from latentry.client import AsyncClient, Retries
from latentry.errors import LatentryError
from latentry.serve.stack import Stack

PROMPT: Final = "a red circle on a blue background"
LOOK_S: Final = 0.2


async def ready(stack: Stack) -> None:
    """Return once the gateway takes work and a worker holds a model. Raises StartFailed."""
    async with (
        httpx.AsyncClient(base_url=stack.local_url, trust_env=False) as http,
        local_client(stack, Retries(attempts=1)) as client,
    ):
        while not (await _accepts(http) and await _draws(client)):
            stack.check()
            await asyncio.sleep(LOOK_S)


def local_client(stack: Stack, retries: Retries | None = None) -> AsyncClient:
    """A client of this machine's service, past any proxy that the environment names."""
    return AsyncClient(stack.local_url, retries=retries, transport=httpx.AsyncHTTPTransport())


def invitation(stack: Stack) -> list[str]:
    """Lines for the terminal: where the service is, and two commands that work as printed."""
    url = stack.settings.base_url
    body = shlex.quote(json.dumps({"prompt": PROMPT}))
    to = "" if url == "http://127.0.0.1:8000" else f" --url {url}"
    return [
        f"Ready on {url}; the API is described on {url}/docs. Ctrl-C stops everything. Try:",
        f"curl -s {url}/v1/generations -H 'Prefer: wait=60' "
        f"-H 'Content-Type: application/json' -d {body}",
        f'{_latentry()} generate "{PROMPT}" -o out.png{to}',
    ]


async def _accepts(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False


async def _draws(client: AsyncClient) -> bool:
    try:
        return any(model.workers for model in (await client.models()).data)
    except LatentryError:
        return False


def _latentry() -> str:
    """The command as the reader can type it here."""
    ours = Path(sys.executable).with_name("latentry")
    if shutil.which("latentry") == str(ours):
        return "latentry"
    here = Path.cwd()
    return shlex.quote(str(ours.relative_to(here) if ours.is_relative_to(here) else ours))
