"""`latentry webhooks` as an operator types it, against a real ledger."""

import json
import subprocess
import sys

import pytest

from latentry.ledger import deliveries
from tests.latentry.cli.operating import operator


@pytest.fixture
def webhooks(settings, tmp_path, capsys):
    run = operator(tmp_path, capsys, settings.to_env())
    return lambda *words: run("webhooks", *words)


def test_a_new_secret_is_shown_once_and_the_old_one_keeps_signing(webhooks, ledger) -> None:
    first = webhooks("secret", "--tenant", "acme")
    assert first.returncode == 0, first.stderr
    old = first.stdout.strip()
    assert old.startswith("whsec_")
    assert old not in first.stderr
    printed = json.loads(webhooks("secret", "--tenant", "acme", "--grace", "1h", "--json").stdout)
    assert (printed["tenant"], printed["signing"]) == ("acme", 2)
    signing = ledger.run(deliveries.list_secrets("acme", fresh="whsec_unused"))
    assert signing == [printed["secret"], old]


def test_without_grace_the_old_secret_stops_signing(webhooks, ledger) -> None:
    webhooks("secret")
    last = webhooks("secret", "--grace", "0s").stdout.strip()
    assert ledger.run(deliveries.list_secrets("default", fresh="whsec_unused")) == [last]


def test_help_shows_the_command_as_typed() -> None:
    words = (sys.executable, "-m", "latentry", "webhooks", "secret", "--help")
    said = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert "latentry webhooks secret" in said.stdout
