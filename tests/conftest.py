"""Fixtures every room uses: a real Valkey, and settings with a prefix and a folder of their own."""

import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as search
from xdist.remote import Producer

from latentry.ledger import AsyncLedger, Ledger
from latentry.settings import Settings
from tests import rooms
from tests.survivors import adopt, survivors
from tests.valkey import Valkey

# Threads of OpenMP that spin while they wait take the cores from all other processes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and ends.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count()

# Other searches are asked for with --hypothesis-profile.
search.register_profile(
    "short", max_examples=60, stateful_step_count=40, deadline=None, print_blob=True
)
search.register_profile(
    "long", search.get_profile("short"), max_examples=5_000, stateful_step_count=100
)
search.load_profile("short")


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means."""
    return rooms.workers()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> rooms.Rooms:
    """By rooms, whatever `--dist` says."""
    return rooms.Rooms(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_process_survives() -> Iterator[None]:
    """What a test has started ends with it."""
    adopt()
    yield
    assert survivors() == []


@pytest.fixture(scope="session", autouse=True)
def no_thread_ends_the_tests() -> Iterator[None]:
    """A worker's thread that fails in this process fails a test, by pytest's own hook."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.process.exit_on_failure.end_process", lambda: None)
        yield


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server for the whole session; tests keep apart by prefix."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own LATENTRY_* variables have no say in a test."""
    for name in [name for name in os.environ if name.startswith("LATENTRY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(valkey: Valkey, tmp_path: Path) -> Settings:
    """Settings of a service of its own: fresh prefix, fresh folder, no fixed ports."""
    return Settings.from_env(
        {
            "LATENTRY_REDIS_URL": valkey.url,
            "LATENTRY_REDIS_PREFIX": f"test-{next(_numbers)}",
            "LATENTRY_DATA_DIR": str(tmp_path),
            "LATENTRY_PORT": "0",
            "LATENTRY_METRICS_PORT": "0",
            "LATENTRY_WORKER_METRICS_PORT": "0",
            "LATENTRY_DTYPE": "float32",  # whatever the CPU
            "LATENTRY_COMPILE": "off",  # on CUDA it would begin in the midst of the tests
        }
    )


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger of this test."""
    opened = Ledger.open(settings)
    yield opened
    opened.close()


@pytest.fixture
async def async_ledger(settings: Settings) -> AsyncIterator[AsyncLedger]:
    """The same ledger, for an event loop."""
    opened = AsyncLedger.open(settings)
    yield opened
    await opened.close()
