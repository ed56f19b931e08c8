"""Gateway, worker and Celery, as a Redis user who may do no more than the documents say."""

from pathlib import Path

from latentry.client import Client
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack, until
from tests.latentry.ledger.test_inspection import DOCUMENTED
from tests.valkey import Valkey


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
