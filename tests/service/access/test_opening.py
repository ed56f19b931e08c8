"""`python -m service` and `latentry serve` are not reachable without API keys by accident."""

import os
import subprocess
import sys

import httpx
import pytest

from latentry.api_keys import ApiKey
from latentry.errors import ConfigurationError
from latentry.settings import Settings
from service.access import opening
from tests.service.keys import bearer, issue
from tests.service.starting import refusal
from tests.service.test_process import start
from tests.valkey import free_port

OPEN_HOST = "0.0.0.0"


def test_an_open_address_without_a_key_is_refused_with_what_to_do(settings, capsys) -> None:
    said = refusal(settings, capsys, {"LATENTRY_HOST": OPEN_HOST})
    assert len(said.splitlines()) == 1
    assert "LATENTRY_HOST=0.0.0.0" in said
    assert "latentry keys create" in said
    assert "LATENTRY_BOOTSTRAP_KEY" in said


def test_a_public_url_without_a_key_is_refused_for_a_proxy_lets_strangers_in(
    settings, capsys
) -> None:
    said = refusal(settings, capsys, {"LATENTRY_PUBLIC_URL": "https://pictures.example"})
    assert "LATENTRY_PUBLIC_URL is reachable from other machines" in said
    assert "latentry keys create" in said


def test_a_public_url_opens_with_a_key_or_where_a_proxy_is_said_to_ask(settings, ledger) -> None:
    public = settings.model_copy(update={"public_url": "https://pictures.example"})
    opening.check(public.model_copy(update={"auth": "off"}))
    issue(ledger)
    opening.check(public)


def test_an_open_address_with_keys_turned_off_is_refused_whatever_keys_there_are(
    settings, capsys, ledger
) -> None:
    issue(ledger)
    said = refusal(settings, capsys, {"LATENTRY_HOST": OPEN_HOST, "LATENTRY_AUTH": "off"})
    assert "LATENTRY_AUTH=off disables API keys" in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LATENTRY_BOOTSTRAP_KEY", "sesame"),
        ("LATENTRY_BOOTSTRAP_KEY_FILE", "/nowhere/at/all"),
        ("LATENTRY_BOOTSTRAP_KEY_FILE", os.devnull),
    ],
)
def test_a_bootstrap_key_that_is_none_is_refused_and_not_repeated(
    settings, capsys, variable: str, value: str
) -> None:
    said = refusal(settings, capsys, {"LATENTRY_HOST": OPEN_HOST, variable: value})
    assert "LATENTRY_BOOTSTRAP_KEY" in said
    assert "sesame" not in said


@pytest.mark.parametrize("made", ["before", "by variable"])
def test_with_a_key_it_starts_and_requires_it(settings, ledger, made: str) -> None:
    port, key = free_port(), ApiKey.new()
    changes = {"LATENTRY_HOST": OPEN_HOST, "LATENTRY_PORT": str(port)}
    if made == "before":
        key = issue(ledger)
    else:
        changes["LATENTRY_BOOTSTRAP_KEY"] = key.text
    process = start(settings, **changes)
    transport = httpx.HTTPTransport(retries=20)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, transport=transport, timeout=30) as client:
            assert client.get("/livez").status_code == 200
            assert client.get("/v1/models").status_code == 401
            assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert key.secret not in said


def test_while_the_ledger_is_away_it_starts_and_refuses_every_request(settings) -> None:
    away = {"host": OPEN_HOST, "redis_url": "redis://127.0.0.1:1/0"}
    opening.check(Settings.model_validate(settings.model_dump() | away))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_this_machines_own_addresses_need_no_key(settings, host: str) -> None:
    opening.check(settings.model_copy(update={"host": host, "auth": "off"}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "localhost.", "gateway"])
def test_all_others_do(settings, host: str) -> None:
    with pytest.raises(ConfigurationError, match="no API key yet"):
        opening.check(settings.model_copy(update={"host": host}))


def test_latentry_serve_ends_with_the_gateways_sentence_and_exit_status_2(
    settings, tmp_path
) -> None:
    env = {name: value for name, value in os.environ.items() if "LATENTRY" not in name}
    changes = {"LATENTRY_HOST": OPEN_HOST, "LATENTRY_MODELS": "sim=simulated:"}
    ended = subprocess.run(
        [sys.executable, "-m", "latentry", "serve"],
        env=env | settings.to_env() | changes,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    assert "there is no API key yet" in said
    assert "The gateway rejected the settings" in said
    assert "Traceback" not in said
