"""What the package promises: its names, its twins, and how little it needs."""

import inspect
import subprocess
import sys
from importlib.resources import files

from pydantic import ValidationError

import latentry
from latentry.client import AsyncClient, Client, errors
from latentry.errors import ConfigurationError, InvalidRequest, LatentryError

HEAVY = ("redis", "obstore", "celery", "fastapi", "typer", "structlog", "torch")
OURS = ("latentry.ledger", "latentry.storage", "service", "worker")


def _calls(client):
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods():
    blocking, waiting = _calls(Client), _calls(AsyncClient)
    assert blocking.keys() - {"close"} == waiting.keys() - {"aclose"}
    for name in blocking.keys() - {"close"}:
        assert blocking[name].parameters == waiting[name].parameters, name
        iterates = str(blocking[name].return_annotation).startswith("collections.abc.Iterator")
        if not iterates:
            assert blocking[name].return_annotation == waiting[name].return_annotation, name


def test_the_package_offers_both_clients():
    assert latentry.Client is Client
    assert latentry.AsyncClient is AsyncClient


def test_the_package_says_that_it_has_types():
    assert files("latentry").joinpath("py.typed").is_file()


def test_every_error_that_the_sdk_raises_is_exported_beside_the_clients_and_has_one_base():
    own = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    raised = {kind for kind in own if issubclass(kind, Exception) and kind is not ValidationError}
    assert raised > {errors.ApiError, errors.StillRunning, LatentryError}
    for kind in (*raised, InvalidRequest, ConfigurationError):
        assert issubclass(kind, latentry.LatentryError)
        assert getattr(latentry, kind.__name__) is kind
    assert all(getattr(latentry, name) for name in latentry.__all__)


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
