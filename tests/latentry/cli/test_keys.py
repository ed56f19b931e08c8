"""`latentry keys` as an operator types it, against a real ledger."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from latentry.api_keys import ApiKey, Scope
from latentry.ledger import keyring
from latentry.ledger.keyring import Allowance
from latentry.serve.valkey import Valkey as Embedded
from tests.latentry.cli.operating import operator
from tests.valkey import free_port


@pytest.fixture
def keys(settings, tmp_path, capsys):
    """Runs `latentry keys …`; gives what ended."""
    run = operator(tmp_path, capsys, settings.to_env())
    return lambda *words, **env: run("keys", *words, **env)


def test_a_key_is_shown_once_alone_on_standard_output(keys, settings, ledger, tmp_path) -> None:
    words = ("create", "--tenant", "acme", "--name", "ci")
    made = subprocess.run(
        [sys.executable, "-m", "latentry", "keys", *words],
        env=os.environ | settings.to_env(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    key = ApiKey.parse(made.stdout.removesuffix("\n"))
    assert key is not None
    assert key.secret not in made.stderr
    assert f"Key {key.id} of tenant acme" in made.stderr
    [record] = ledger.run(keyring.list_keys())[1]
    assert (record.tenant, record.name) == ("acme", "ci")
    assert record.scopes == frozenset(Scope) - {Scope.USAGE_OF_ALL}
    assert (record.allowance, record.expires_ms) == (Allowance(), None)
    listed = keys("list")
    assert key.id in listed.stdout
    assert key.secret not in listed.stdout + listed.stderr


def test_every_limit_has_an_option(keys, ledger) -> None:
    words = "--scopes generations:read,files --expires 90d --rate 2/s --concurrency 3 --quota 4"
    made = keys("create", *words.split(), "--weight", "5", "--json")
    printed = json.loads(made.stdout)
    assert ApiKey.parse(printed["key"]).id == printed["id"]
    [record] = ledger.run(keyring.list_keys())[1]
    assert record.scopes == {Scope.READ, Scope.FILES}
    assert record.allowance == Allowance(120, 120, 3, 4, 5)
    assert record.expires_ms - record.created_ms == 90 * 86_400_000
    [printed] = json.loads(keys("list", "--json").stdout)
    expires = datetime.fromisoformat(printed["expires_at"])
    assert 89 <= (expires - datetime.now(UTC)).days <= 90
    assert (printed["state"], printed["requests_per_minute"], printed["weight"]) == (
        "active",
        120,
        5,
    )


def test_a_key_is_rotated_and_revoked_by_its_id(keys, ledger) -> None:
    old = ApiKey.parse(keys("create").stdout.strip())
    rotated = keys("rotate", old.id, "--grace", "1h")
    fresh = ApiKey.parse(rotated.stdout.strip())
    assert fresh.id == old.id
    assert "3600 s" in rotated.stderr

    def stand() -> list[bool]:
        return [bool(ledger.run(keyring.authorize(key)).key) for key in (old, fresh)]

    assert stand() == [True, True]
    assert keys("revoke", old.id).returncode == 0
    assert stand() == [False, False]
    for words in (("revoke", "nobody"), ("rotate", old.id)):
        refused = keys(*words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("latentry: Key ")


@pytest.mark.parametrize(
    "words",
    [
        ("--tenant", "Acme"),
        ("--tenant", "a:b"),
        ("--scopes", "everything"),
        ("--expires", "soon"),
        ("--expires", "0d"),
        ("--rate", "0/min"),
        ("--rate", "60"),
        ("--weight", "0"),
        ("--quota", "-1"),
    ],
)
def test_misuse_exits_with_2_and_creates_nothing(keys, ledger, words) -> None:
    refused = keys("create", *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert ledger.run(keyring.list_keys())[1] == []


def test_a_bootstrap_key_needs_no_ledger(keys, ledger) -> None:
    made = keys("new", LATENTRY_REDIS_URL="redis://127.0.0.1:1/0")
    assert ApiKey.parse(made.stdout.strip())
    assert ledger.run(keyring.list_keys())[1] == []


def test_an_unavailable_ledger_is_reported_with_what_to_do(keys) -> None:
    ended = keys("list", LATENTRY_REDIS_URL="redis://127.0.0.1:1/0")
    assert ended.returncode == 3
    assert "The ledger of LATENTRY_REDIS_URL does not respond" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["keys", "webhooks"])
def test_a_folder_whose_service_does_not_run_is_named_with_the_variable(
    tmp_path, capsys, command
) -> None:
    stopped = Embedded(tmp_path / "valkey", free_port(), "secret")
    stopped.folder.mkdir()
    stopped.config_path.write_text(stopped.config)
    run = operator(tmp_path, capsys, {"LATENTRY_DATA_DIR": str(tmp_path)})
    ended = run(command, {"keys": "list", "webhooks": "secret"}[command])
    assert ended.returncode == 3
    assert f"No service with the data folder {tmp_path} is running" in ended.stderr
    assert "set LATENTRY_DATA_DIR" in ended.stderr
    assert "latentry serve" in ended.stderr


def test_a_ledger_that_refuses_the_operator_is_not_said_to_be_away(keys, valkey) -> None:
    ended = keys("list", LATENTRY_REDIS_URL=f"redis://nobody:wrong@127.0.0.1:{valkey.port}/0")
    assert ended.returncode == 2
    assert "refuses the user or the password" in ended.stderr
    assert "latentry serve" not in ended.stderr


def test_the_valkey_of_latentry_serve_is_found(keys, settings, valkey, ledger) -> None:
    folder = settings.data_dir / "valkey"
    folder.mkdir()
    ledger.client.config_set("requirepass", "secret")
    try:
        config = Embedded(folder, valkey.port, "secret").config
        (folder / "valkey.conf").write_text(config)
        env = settings.to_env()
        env.pop("LATENTRY_REDIS_URL")
        made = subprocess.run(
            [sys.executable, "-m", "latentry.admin", "keys", "create"],
            env=os.environ | env,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        ledger.client.config_set("requirepass", "")
    assert ApiKey.parse(made.stdout.strip()), made.stderr
    assert len(ledger.run(keyring.list_keys())[1]) == 1
