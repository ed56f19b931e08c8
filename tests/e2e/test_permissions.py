"""Gateway, worker and Celery, as a Redis user who may do no more than the documents say."""

from pathlib import Path

from latentry.client import Client
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Process, Stack, until
from tests.latentry.ledger.test_inspection import DOCUMENTED
from tests.valkey import Valkey
from worker.process.watchdog import EXIT_UNUSABLE


def test_a_worker_whom_redis_refuses_ends_with_a_sentence_before_it_loads(
    valkey: Valkey, tmp_path: Path
) -> None:
    url = f"redis://nobody:secret-word@127.0.0.1:{valkey.port}/0"
    settings = settings_for(valkey, tmp_path, "latentry", redis_url=url, models="try=simulated:")
    worker = Process("worker", settings, tmp_path / "log")
    assert worker.wait() == EXIT_UNUSABLE
    said = worker.log.read_text()
    assert "refuses the user or the password in LATENTRY_REDIS_URL" in said
    assert "secret-word" not in said
    assert "Traceback" not in said


def test_the_documented_permissions_suffice_for_the_whole_service(tmp_path: Path) -> None:
    with Valkey(tmp_path) as valkey, valkey.client as admin:
        admin.execute_command("ACL", "SETUSER", "restricted", "on", ">pw", *DOCUMENTED)
        settings = settings_for(
            valkey,
            tmp_path,
            "latentry",
            redis_url=f"redis://restricted:pw@127.0.0.1:{valkey.port}/0",
            models="try=simulated:",
        )
        with Stack(settings) as stack, Client(stack.url) as client:
            stack.start_worker()
            assert client.generate("a red circle").images
            # The bell too: of each the worker takes one.
            until(lambda: not admin.exists("{latentry}:celery:latentry.try"), 30, "the bell")
            assert admin.execute_command("ACL", "LOG") == [], stack.text_of_logs()
