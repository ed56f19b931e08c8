"""What the package promises: its names, its twins, and how little it needs."""

import inspect
import subprocess
import sys

import latentry
from latentry.client import AsyncClient, Client

HEAVY = ("redis", "obstore", "celery", "fastapi", "typer", "structlog", "torch")
OURS = ("latentry.ledger", "latentry.storage", "service", "worker")


def _calls(client):
    return {
        name: inspect.signature(method)
        for name, method in vars(client).items()
        if not name.startswith("_") and inspect.isfunction(method)
    }


def test_both_clients_have_the_same_methods():
    blocking, waiting = _calls(Client), _calls(AsyncClient)
    assert blocking.keys() - {"close"} == waiting.keys() - {"aclose"}
    for name in blocking.keys() - {"close", "events"}:
        assert blocking[name] == waiting[name], name


def test_the_package_offers_both_clients():
    assert latentry.Client is Client
    assert latentry.AsyncClient is AsyncClient


def test_the_sdk_needs_pydantic_and_httpx_only():
    loaded = "import sys, latentry.client; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in (*HEAVY, *OURS) if name in names]


def test_the_contracts_need_no_http_client():
    loaded = "import sys, latentry.contracts; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "httpx" not in names
