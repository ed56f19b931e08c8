"""Threads use connections again, and lose nothing when one of them is lost."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
from redis.connection import Connection
from redis.exceptions import ResponseError

from latentry.errors import LedgerUnavailable
from latentry.ledger import Command, JobRef, Ledger, commands
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.valkey import Valkey

WRONG: Command[bool] = Command("gateway/create", ("no JSON", ""), bool)


@pytest.fixture
def refs(ledger: Ledger) -> list[JobRef]:
    jobs = [new_job() for _ in range(5)]
    return [ledger.run(commands.create(job, max_queued=9)).ref for job in jobs]


def ids(ledger: Ledger) -> set[str]:
    return {one["id"] for one in ledger.client.client_list()}


def test_one_connection_serves_one_command_after_the_other(
    ledger: Ledger, refs: list[JobRef]
) -> None:
    before = ids(ledger)
    for ref in refs:
        ledger.run(commands.get(ref))
    assert ids(ledger) == before


def test_threads_get_each_their_own_answers(ledger: Ledger, refs: list[JobRef]) -> None:
    asked = refs * 20
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda ref: ledger.run(commands.get(ref)), asked))
    assert [record.ref for record in records if record] == asked


def test_a_lost_connection_is_replaced_and_the_command_sent_again(
    ledger: Ledger, refs: list[JobRef]
) -> None:
    ledger.run(commands.get(refs[0]))
    ledger.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    found = ledger.run(commands.get(refs[1]))
    assert found is not None
    assert found.ref == refs[1]
    ledger.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    [one, other] = ledger.run_all([commands.get(ref) for ref in refs[:2]])
    assert [one.ref, other.ref] == refs[:2]


def test_an_error_is_the_answer_to_its_own_command_only(ledger: Ledger, refs: list[JobRef]) -> None:
    told = ledger.run_all([commands.get(refs[0]), WRONG, commands.get(refs[1])])
    assert isinstance(told[1], ResponseError)
    assert [told[0].ref, told[2].ref] == refs[:2]
    with pytest.raises(ResponseError):
        ledger.run(WRONG)
    assert ledger.run(commands.get(refs[2])).ref == refs[2]


def test_scripts_that_the_server_has_lost_are_sent_again(
    ledger: Ledger, refs: list[JobRef]
) -> None:
    ledger.client.script_flush()
    assert ledger.run(commands.get(refs[0])).ref == refs[0]
    ledger.client.script_flush()
    told = ledger.run_all([commands.get(ref) for ref in refs])
    assert [record.ref for record in told] == refs


def test_after_an_outage_the_next_command_is_answered(
    valkey: Valkey, settings: Settings, refs: list[JobRef]
) -> None:
    ledger = Ledger.open(settings, retries=0)
    ledger.run(commands.get(refs[0]))
    taken = ledger._connections._idle[0]
    port, taken.port = taken.port, 1  # nobody listens there
    taken.disconnect()
    with pytest.raises(LedgerUnavailable):
        ledger.run(commands.get(refs[0]))
    taken.port = port
    assert ledger.run(commands.get(refs[0])).ref == refs[0]
    ledger.close()


def test_ledgers_of_one_client_share_its_connections(ledger: Ledger) -> None:
    ledger.run(commands.check_writable())
    before = ids(ledger)
    for _ in range(200):  # a client has a hundred at most
        assert Ledger(ledger.client, ledger.root).run(commands.check_writable())
    assert ids(ledger) == before


def test_a_server_that_is_not_reached_is_tried_as_often_as_the_settings_say(
    settings: Settings, refs: list[JobRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as often in each of the tries: a try takes seconds, and leases do not wait."""
    ledger = Ledger.open(settings, retries=2)
    ledger.run(commands.get(refs[0]))
    ledger._connections._idle[0].disconnect()
    tries = []

    def time_out(connection: Connection) -> NoReturn:
        tries.append(connection)
        raise TimeoutError

    with monkeypatch.context() as away:
        away.setattr(Connection, "_connect", time_out)
        with pytest.raises(LedgerUnavailable):
            ledger.run(commands.get(refs[0]))
    assert len(tries) == 3
    assert ledger.run(commands.get(refs[0])).ref == refs[0]
    ledger.close()


def test_a_client_that_nobody_has_any_more_is_forgotten(settings: Settings) -> None:
    ledger = Ledger.open(settings)
    ledger.run(commands.check_writable())
    pool = weakref.ref(ledger.client.connection_pool)
    ledger.close()
    del ledger
    gc.collect()
    assert pool() is None
