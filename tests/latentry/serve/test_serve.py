"""The whole of `latentry serve`, with signals from outside."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import redis

from latentry.errors import ConfigurationError
from latentry.serve.apps import check_apps
from latentry.serve.valkey import Valkey
from latentry.settings import Settings
from tests.latentry.serve.conftest import SERVICE
from tests.latentry.serve.processes import ends, read_until


def test_it_says_once_what_to_type_when_it_is_ready_and_ctrl_c_stops_everything(serve):
    serving = serve()
    ready, before = read_until(serving.lines, r"Ready on (http://127\.0\.0\.1:\d+)")
    url = ready[1]
    pids = [int(found[1]) for line in before if (found := re.search(r"\| pid (\d+)", line))]
    assert len(pids) == 2

    code, rest = serving.end(signal.SIGINT)
    assert code == 0
    assert rest[0].startswith(f"curl -s {url}/v1/generations ")
    assert re.search(rf'latentry generate "a red circle .*" -o out\.png --url {url}$', rest[1])
    assert all(ends(pid) for pid in pids)
    order = [line.split("|")[0].strip() for line in rest[2:]]
    assert order[:2] == ["gateway", "worker"]
    assert set(order[2:]) == {"valkey"}


def test_sigterm_stops_it_like_ctrl_c(serve):
    serving = serve()
    read_until(serving.lines, "Ready")
    assert serving.end(signal.SIGTERM)[0] == 0


def test_a_signal_before_it_is_ready_stops_it_too(serve, checkout):
    (checkout / "service" / "__main__.py").write_text("import signal; signal.pause()")
    serving = serve()
    pid = int(read_until(serving.lines, r"worker  \| pid (\d+)")[0][1])
    assert serving.end(signal.SIGINT)[0] == 0
    assert ends(pid)


def test_a_killed_worker_is_started_again(serve):
    serving = serve()
    pid = int(read_until(serving.lines, r"worker  \| pid (\d+)")[0][1])
    os.kill(pid, signal.SIGKILL)
    read_until(serving.lines, "worker ended with exit code 137; restart in 0.5 s")
    again = int(read_until(serving.lines, r"worker  \| pid (\d+)")[0][1])
    assert serving.end()[0] == 0
    assert ends(again)


def test_it_continues_when_its_output_is_closed(serve, checkout):
    """As under a terminal or a log reader that died: the worker is still started again."""
    born = checkout / "worker.born"
    os.mkfifo(born)
    app = (checkout / "worker" / "__main__.py").read_text()
    (checkout / "worker" / "__main__.py").write_text(
        f"import os; open({str(born)!r}, 'w').write(str(os.getpid()))\n{app}"
    )
    serving = serve()
    first = int(born.read_text())
    read_until(serving.lines, r"worker  \| pid")
    serving.lines.close()
    os.kill(first, signal.SIGKILL)
    assert int(born.read_text()) != first
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait() == 0


def test_no_other_command_is_imported_before_the_worker_is_started():
    code = """
import sys
from latentry.cli import _app
_app(["serve"])
print("latentry.client" in sys.modules, "httpx" in sys.modules)
_app(["list"])
print("latentry.client" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False", "True"]


def test_a_closed_output_does_not_fail_the_exit():
    deaf, ours = os.pipe()
    os.close(deaf)
    says = "from latentry.cli.serve import write_line as w; w('one'); w('two', err=True)"
    env = os.environ | {"PYTHONUNBUFFERED": ""}  # or nothing is left for the end
    try:
        ended = subprocess.run(
            [sys.executable, "-c", says], stdout=ours, stderr=ours, env=env, check=False
        )
    finally:
        os.close(ours)
    assert ended.returncode == 0


def test_a_killed_supervisor_leaves_no_orphan_and_no_data_behind_a_lock(serve, checkout):
    serving = serve()
    _, before = read_until(serving.lines, "Ready")
    pids = [int(found[1]) for line in before if (found := re.search(r"\| pid (\d+)", line))]
    valkey = Valkey.previous(checkout / ".latentry" / "valkey")
    with redis.Redis.from_url(valkey.url) as client:
        client.set("job", "queued")
        pids.append(client.info("server")["process_id"])
    serving.end(signal.SIGKILL)

    again = serve()
    read_until(again.lines, "Ready")
    assert all(ends(pid) for pid in pids)
    with redis.Redis.from_url(Valkey.previous(valkey.folder).url) as client:
        assert client.get("job") == b"queued"
    assert again.end()[0] == 0


def test_a_redis_of_the_user_is_used_unchanged(serve, checkout, valkey):
    serving = serve(LATENTRY_REDIS_URL=valkey.url)
    read_until(serving.lines, "Ready")
    assert not (checkout / ".latentry" / "valkey").exists()
    assert serving.end()[0] == 0


def test_two_services_do_not_share_a_folder(serve):
    read_until(serve().lines, "Ready")
    second = serve()
    read_until(second.lines, "Another `latentry serve` .* set LATENTRY_DATA_DIR")
    assert second.process.wait() == 2


@pytest.mark.parametrize(
    "variable", ["LATENTRY_PORT", "LATENTRY_METRICS_PORT", "LATENTRY_WORKER_METRICS_PORT"]
)
def test_a_port_in_use_is_named_with_the_variable_to_set(serve, variable):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serving = serve(**{variable: str(port)})
        read_until(serving.lines, f"Port {port} on 127.0.0.1 cannot be opened.*set {variable}")
        assert serving.process.wait() == 2


def test_a_missing_model_is_named_with_its_path(serve, checkout):
    (checkout / "models" / "shapes").rmdir()
    serving = serve()
    read_until(serving.lines, "model shapes was not found at models/shapes.* set LATENTRY_MODELS")
    assert serving.process.wait() == 2


def test_outside_a_checkout_it_is_refused_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigurationError, match="runs from a checkout"):
        check_apps(Settings())


def test_a_misspelt_setting_is_named(serve):
    serving = serve(LATENTRY_PROT="1")
    read_until(serving.lines, "no setting LATENTRY_PROT; did you mean LATENTRY_PORT?")
    assert serving.process.wait() == 2


def test_a_part_that_never_starts_ends_the_command(serve, checkout):
    (checkout / "service" / "__main__.py").write_text(SERVICE.replace("workers=1", "workers=0"))
    (checkout / "worker" / "__main__.py").write_text("exit('no such model')")
    serving = serve()
    _, before = read_until(serving.lines, "The worker ended 3 times before it was ready")
    assert any("worker  | no such model" in line for line in before)
    assert serving.process.wait() == 1
