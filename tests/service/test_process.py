"""`python -m service` as a process: what it refuses, what it never loads, how it stops."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from latentry.ledger import commands
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.service.starting import refusal
from tests.valkey import free_port


def start(settings: Settings, **changes: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("LATENTRY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "service"],
        env=env | settings.to_env() | {"LATENTRY_PUBLIC_URL": ""} | changes,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LATENTRY_PROT": "1"}, "did you mean LATENTRY_PORT?"),
        ({"LATENTRY_PORT": "x"}, "LATENTRY_PORT is invalid"),
        ({"LATENTRY_STORAGE_URL": "ftp://x"}, "LATENTRY_STORAGE_URL"),
        ({"LATENTRY_REDIS_URL": "rediss://db", "LATENTRY_REDIS_TLS_CA_FILE": "/x"}, "TLS_CA_FILE"),
    ],
)
def test_settings_that_make_no_gateway_end_it_with_a_sentence(
    settings, capsys, changes, sentence
) -> None:
    assert sentence in refusal(settings, capsys, changes)


def test_a_redis_that_refuses_the_gateway_ends_it_with_a_sentence(settings, capsys, valkey) -> None:
    url = f"redis://nobody:secret-word@127.0.0.1:{valkey.port}/0"
    said = refusal(settings, capsys, {"LATENTRY_REDIS_URL": url})
    assert "refuses the user or the password in LATENTRY_REDIS_URL" in said
    assert "secret-word" not in said


@pytest.mark.parametrize("variable", ["LATENTRY_PORT", "LATENTRY_METRICS_PORT"])
def test_a_port_that_is_taken_is_named_in_a_sentence(
    settings, capsys, valkey, variable: str
) -> None:
    assert variable in refusal(settings, capsys, {variable: str(valkey.port)})


def test_a_process_that_refuses_its_settings_exits_with_2(settings) -> None:
    process = start(settings, LATENTRY_PROT="1")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.strip().endswith("did you mean LATENTRY_PORT?")


def test_the_gateway_never_loads_torch() -> None:
    code = (
        "import sys, service.app, service.__main__;"
        "print({'torch', 'diffusers', 'transformers', 'numpy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_gets_sigterm_ends_its_streams_and_exits(
    settings, worker, port, number: signal.Signals
) -> None:
    job = new_job("gen_" + "a" * 32)
    worker.ledger.run(commands.create(job, max_queued=10))
    process = start(settings, LATENTRY_PORT=str(port), LATENTRY_LOG_FORMAT="json")
    url = f"http://127.0.0.1:{port}"
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(base_url=url, transport=transport, timeout=30) as client:
        assert client.get("/livez").headers.get("server") is None
        with client.stream("GET", f"/v1/generations/{job.ref.id}/events") as stream:
            chunks = stream.iter_text()
            assert "queued" in next(chunks)
            process.send_signal(number)
            assert "".join(chunks) == ""
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in said


def test_the_names_of_tests_do_not_hide_the_gateway() -> None:
    import service

    assert Path(service.__file__).parents[1] == Path(__file__).parents[2]
