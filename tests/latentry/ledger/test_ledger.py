"""What the ledger promises, one command at a time, on a real Valkey."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import ResponseError

from latentry.contracts import EventType, JobStatus, OutputKind, Priority
from latentry.errors import (
    EngineError,
    IdempotencyConflict,
    LeaseLost,
    LedgerFull,
    LedgerUnavailable,
    QueueFull,
)
from latentry.ledger import AsyncLedger, Command, JobRecord, JobRef, Lease, Ledger, commands
from latentry.ledger.accounts import read_usage
from latentry.ledger.claiming import run_claim
from latentry.settings import MAX_TTL_S, Settings
from tests.latentry.ledger.factory import card, image, new_job, request
from tests.valkey import Valkey, free_port


def create(ledger: Ledger, **kwargs: object) -> JobRef:
    return ledger.run(commands.create(new_job(**kwargs), max_queued=100)).ref


def claim(ledger: Ledger, room: int = 1, worker: str = "w1", lease_s: float = 5.0) -> list[Lease]:
    return ledger.run(commands.claim(worker, ["shapes"], room=room, lease_s=lease_s))


def read(ledger: Ledger, ref: JobRef) -> JobRecord:
    record = ledger.run(commands.get(ref))
    assert record is not None
    return record


def kinds(ledger: Ledger, ref: JobRef) -> list[EventType]:
    return [event.type for event in ledger.run(commands.list_events(ref))]


def test_a_new_job_waits_at_the_end_of_its_queue(ledger: Ledger) -> None:
    first, second = create(ledger), create(ledger)
    assert (read(ledger, first).position, read(ledger, second).position) == (0, 1)
    assert read(ledger, first).state is JobStatus.QUEUED
    assert kinds(ledger, first) == [EventType.QUEUED]


def test_any_prompt_and_the_longest_life_are_kept_as_they_are(ledger: Ledger) -> None:
    prompt = "".join(map(chr, (0x1F438, 0x2028, 0x22, 0x5C, 0x7F, 0xFFFF, 0x25, 0x0A))) * 1_000
    ms = MAX_TTL_S * 1000
    job = replace(new_job(queue_ttl_ms=ms, ttl_ms=ms), request=request(prompt=prompt))
    ledger.run(commands.create(job, max_queued=1))
    [lease] = claim(ledger)
    ledger.run(commands.settle(lease, JobStatus.FAILED, EngineError(prompt)))
    record = read(ledger, job.ref)
    assert record.request.prompt == prompt
    assert record.error is not None
    assert record.error.message == prompt


def test_creating_the_same_job_again_changes_nothing(ledger: Ledger) -> None:
    job = new_job()
    once = ledger.run(commands.create(job, max_queued=100))
    again = ledger.run(commands.create(job, max_queued=100))
    assert once == again
    assert kinds(ledger, job.ref) == [EventType.QUEUED]


def test_what_creating_a_job_answers_is_what_its_reader_gets(ledger: Ledger) -> None:
    ledger.run(commands.heartbeat("w", ["shapes"], ttl_s=60))
    for fields in ({}, {"finish_within_ms": 9_000, "priority": Priority.HIGH}):
        job = new_job(seats=2, cost_ms=1_000, **fields)
        created, known = (
            ledger.run(commands.create(job, max_queued=9)).record,
            read(ledger, job.ref),
        )
        assert created is not None
        assert created.start_ms is not None
        assert replace(created, start_ms=known.start_ms) == known


def test_an_idempotency_key_leads_to_the_first_job(ledger: Ledger) -> None:
    first = create(ledger, key="k", hash="h")
    second = ledger.run(commands.create(new_job(key="k", hash="h"), max_queued=100))
    assert (second.ref, second.is_new) == (first, False)


def test_an_idempotency_key_with_another_body_is_a_conflict(ledger: Ledger) -> None:
    create(ledger, key="k", hash="h")
    with pytest.raises(IdempotencyConflict):
        create(ledger, key="k", hash="other")


def test_idempotency_keys_of_two_tenants_never_meet(ledger: Ledger) -> None:
    first = create(ledger, key="k", hash="h", tenant="one")
    second = create(ledger, key="k", hash="h", tenant="two")
    assert first.id != second.id


def test_a_full_queue_refuses_the_next_job(ledger: Ledger) -> None:
    create(ledger)
    with pytest.raises(QueueFull):
        ledger.run(commands.create(new_job(), max_queued=1))


def test_a_claim_takes_the_longest_waiting_first_and_each_job_once(ledger: Ledger) -> None:
    refs = [create(ledger) for _ in range(3)]
    assert [lease.ref for lease in claim(ledger, room=2)] == refs[:2]
    assert [lease.ref for lease in claim(ledger, room=2, worker="w2")] == refs[2:]
    assert claim(ledger) == []


def test_a_claim_takes_no_more_than_its_share_while_others_are_live(ledger: Ledger) -> None:
    for worker in ("w1", "w2"):
        ledger.run(commands.heartbeat(worker, ["shapes"], ttl_s=5))
    refs = [create(ledger) for _ in range(5)]
    assert [lease.ref for lease in claim(ledger, room=4)] == refs[:3]
    assert [lease.ref for lease in claim(ledger, room=4, worker="w2")] == refs[3:4]


def test_a_job_runs_to_success_with_its_events(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.report_progress([(lease, 1, 4)]))
    assert read(ledger, ref).progress is not None
    ledger.run(commands.add_output(lease, image()))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    record = read(ledger, ref)
    assert record.state is JobStatus.SUCCEEDED
    assert record.images == (image(),)
    assert record.progress is None
    assert record.created_ms <= (record.started_ms or 0) <= (record.finished_ms or 0)
    assert kinds(ledger, ref) == ["queued", "running", "image", "succeeded"]


def test_a_failure_keeps_its_code_and_the_images_made_before_it(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.add_output(lease, image(0)))
    ledger.run(commands.settle(lease, JobStatus.FAILED, EngineError("boom")))
    record = read(ledger, ref)
    assert record.error is not None
    assert (record.error.code, record.error.message) == ("engine_error", "boom")
    assert len(record.images) == 1


def test_outputs_of_one_index_differ_by_their_names(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    plain, named = image(0), image(0).model_copy(update={"name": "step-5"})
    for output in (named, plain, named):
        ledger.run(commands.add_output(lease, output))
    assert read(ledger, ref).outputs == (plain, named)


@pytest.mark.parametrize("kind", [kind for kind in OutputKind if kind.is_final])
def test_only_final_pictures_are_images_and_are_charged_for(
    ledger: Ledger, kind: OutputKind
) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.add_output(lease, image(0).model_copy(update={"kind": kind})))
    of_another_kind = (str(ref), lease.fence, "latent:0:step-5", "{}")
    assert ledger.run(Command("worker/add_output", of_another_kind, bool))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert kinds(ledger, ref) == ["queued", "running", "image", "output", "succeeded"]
    today = datetime.now(UTC).date()
    [used] = ledger.run(read_usage(ref.tenant, today - timedelta(1), today + timedelta(1)))
    assert used.images == 1


def test_a_picture_that_the_ledger_forgot_is_listed_at_the_end(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.add_output(lease, image(0)))
    pictures = [image(0), image(1)]  # the second was listed too, before Valkey was killed
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED, outputs=pictures))
    assert read(ledger, ref).images == tuple(pictures)
    assert kinds(ledger, ref) == ["queued", "running", "image", "image", "succeeded"]


def test_settling_twice_is_settling_once(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert kinds(ledger, ref).count(EventType.SUCCEEDED) == 1


def test_listing_an_image_twice_lists_it_once(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.add_output(lease, image()))
    ledger.run(commands.add_output(lease, image()))
    assert kinds(ledger, ref).count(EventType.IMAGE) == 1


def test_listing_an_image_again_succeeds_although_the_lease_is_gone(ledger: Ledger) -> None:
    create(ledger)
    [stale] = claim(ledger, lease_s=0)
    ledger.run(commands.add_output(stale, image(key="first.png")))  # and the reply is lost
    ledger.run(commands.sweep(lease_s=5))
    ledger.run(commands.add_output(stale, image(key="first.png")))
    with pytest.raises(LeaseLost):
        ledger.run(commands.add_output(stale, image(key="second.png")))


def test_a_lease_that_ran_out_sends_the_job_back_to_its_old_place(ledger: Ledger) -> None:
    first, second = create(ledger), create(ledger)
    [stale] = claim(ledger, lease_s=0)
    ledger.run(commands.sweep(lease_s=5))
    assert (read(ledger, first).position, read(ledger, second).position) == (0, 1)
    [fresh] = claim(ledger, worker="w2")
    assert fresh.ref == first
    assert fresh.fence > stale.fence


def test_a_worker_that_lost_its_lease_can_change_nothing(ledger: Ledger) -> None:
    ref = create(ledger)
    [stale] = claim(ledger, lease_s=0)
    ledger.run(commands.sweep(lease_s=5))
    [fresh] = claim(ledger, worker="w2")
    with pytest.raises(LeaseLost):
        ledger.run(commands.add_output(stale, image()))
    with pytest.raises(LeaseLost):
        ledger.run(commands.settle(stale, JobStatus.FAILED, EngineError()))
    assert ledger.run(commands.report_progress([(stale, 3, 4)])).held == 0
    assert ledger.run(commands.renew([stale, fresh], lease_s=5)) == ["lost", "held"]
    assert ledger.run(commands.release(stale)) is False
    assert read(ledger, ref).state is JobStatus.RUNNING


def test_a_late_worker_learns_that_another_ended_its_job(ledger: Ledger) -> None:
    create(ledger)
    [stale] = claim(ledger, lease_s=0)
    ledger.run(commands.sweep(lease_s=5))
    [fresh] = claim(ledger, worker="w2")
    ledger.run(commands.settle(fresh, JobStatus.SUCCEEDED))
    with pytest.raises(LeaseLost):
        ledger.run(commands.settle(stale, JobStatus.SUCCEEDED))


def test_a_job_whose_workers_keep_dying_mid_step_fails_as_poison(ledger: Ledger) -> None:
    ref = create(ledger)
    for _ in range(commands.POISON_CRASHES):
        [lease] = claim(ledger, lease_s=0)
        ledger.run(commands.report_progress([(lease, 1, 4)]))
        ledger.run(commands.sweep(lease_s=5))
    record = read(ledger, ref)
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "poison"


def test_a_worker_that_dies_before_stepping_is_not_held_against_the_job(ledger: Ledger) -> None:
    ref = create(ledger)
    for _ in range(commands.POISON_CRASHES + 2):
        claim(ledger, lease_s=0)
        ledger.run(commands.sweep(lease_s=5))
    assert read(ledger, ref).state is JobStatus.QUEUED


def test_a_gap_in_which_no_worker_could_renew_costs_no_lease(ledger: Ledger) -> None:
    ref = create(ledger)
    ledger.run(commands.sweep(lease_s=0.002))
    [lease] = claim(ledger, lease_s=0)
    ledger.run(commands.report_progress([(lease, 1, 4)]))
    while True:  # the server's clock has to pass the longest gap of 1 ms between two sweeps
        seconds, micros = ledger.client.time()
        if seconds * 1000 + micros // 1000 > int(ledger.client.get(f"{ledger.root}:swept")) + 2:
            break
    ledger.run(commands.sweep(lease_s=0.002))
    assert read(ledger, ref).state is JobStatus.RUNNING
    assert read(ledger, ref).crashes == 0


def test_a_clock_that_was_set_back_does_not_prolong_a_lease(ledger: Ledger) -> None:
    ref = create(ledger)
    claim(ledger, lease_s=3600)  # by the old clock
    seconds, _ = ledger.client.time()
    ledger.client.set(f"{ledger.root}:swept", (seconds + 3600) * 1000)
    ledger.run(commands.sweep(lease_s=5))
    assert ledger.client.zscore(f"{ledger.root}:leases", str(ref)) < (seconds + 60) * 1000


def test_a_released_job_is_first_in_its_queue_again_and_charged_nothing(ledger: Ledger) -> None:
    first, _second = create(ledger), create(ledger)
    [lease] = claim(ledger)
    assert ledger.run(commands.release(lease)) is True
    record = read(ledger, first)
    assert (record.position, record.crashes) == (0, 0)


def test_canceling_a_waiting_job_ends_it_at_once(ledger: Ledger) -> None:
    ref = create(ledger)
    assert ledger.run(commands.cancel(ref)) is True
    assert read(ledger, ref).state is JobStatus.CANCELED
    assert claim(ledger) == []


def test_canceling_a_running_job_reaches_its_worker_with_the_next_renewal(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.cancel(ref))
    assert ledger.run(commands.renew([lease], lease_s=5)) == ["stop"]
    ledger.run(commands.settle(lease, JobStatus.CANCELED))
    assert read(ledger, ref).state is JobStatus.CANCELED


def test_a_cancellation_survives_the_death_of_the_worker(ledger: Ledger) -> None:
    ref = create(ledger)
    claim(ledger, lease_s=0)
    ledger.run(commands.cancel(ref))
    ledger.run(commands.sweep(lease_s=5))
    assert read(ledger, ref).state is JobStatus.CANCELED


def test_canceling_what_has_ended_changes_nothing(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert ledger.run(commands.cancel(ref)) is True
    assert read(ledger, ref).state is JobStatus.SUCCEEDED


def test_nothing_can_be_done_to_a_job_that_does_not_exist(ledger: Ledger) -> None:
    ref = JobRef("default", "gen_none")
    assert ledger.run(commands.get(ref)) is None
    assert ledger.run(commands.cancel(ref)) is False
    assert ledger.run(commands.forget(ref)) is False


def test_a_job_that_waited_too_long_expires_without_being_run(ledger: Ledger) -> None:
    swept, claimed = create(ledger, queue_ttl_ms=0), create(ledger, queue_ttl_ms=0)
    ledger.run(commands.sweep(lease_s=5))
    assert claim(ledger) == []
    assert read(ledger, swept).state is JobStatus.EXPIRED
    assert read(ledger, claimed).state is JobStatus.EXPIRED


@pytest.mark.parametrize("begins", [False, True])
def test_a_job_that_made_a_step_waits_afresh_when_it_is_handed_back(
    ledger: Ledger, begins: bool
) -> None:
    begun, untouched = create(ledger), create(ledger)
    leases = run_claim(ledger, commands.claim("w", ["shapes"], room=2, lease_s=60, begins=begins))
    ledger.run(commands.report_progress([(leases[0], 1, 4)]))
    for ref in (begun, untouched):
        its_wait_is_over = {"deadline_ms": read(ledger, ref).created_ms}
        ledger.client.hset(f"{ledger.root}:job:{ref}", mapping=its_wait_is_over)
    for lease in leases:
        ledger.run(commands.release(lease))
    ledger.run(commands.sweep(lease_s=5))
    assert read(ledger, begun).state is JobStatus.QUEUED
    assert read(ledger, untouched).state is JobStatus.EXPIRED


def test_a_finished_job_may_be_forgotten_after_its_time(ledger: Ledger) -> None:
    ref = create(ledger, ttl_ms=0)
    [lease] = claim(ledger)
    assert ledger.run(commands.sweep(lease_s=5)).forgettable == ()
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert ledger.run(commands.sweep(lease_s=5)).forgettable == (ref,)
    assert ledger.run(commands.forget(ref)) is True
    assert ledger.client.keys(f"{ledger.root}*{ref.id}*") == []
    assert ledger.run(commands.list_jobs("default", below=None, limit=10)) == []


def test_every_key_of_a_finished_job_has_a_time_to_live(ledger: Ledger) -> None:
    ref = create(ledger, key="k", hash="h")
    [lease] = claim(ledger)
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    for name in ledger.client.keys(f"{ledger.root}:*"):
        if ref.id in name or ":idem:" in name:
            assert ledger.client.pttl(name) > 0, name


def test_forgetting_a_running_job_takes_the_lease_from_its_worker(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.forget(ref))
    with pytest.raises(LeaseLost):
        ledger.run(commands.add_output(lease, image()))
    assert ledger.run(commands.sweep(lease_s=5)).forgettable == ()


def test_a_follower_gets_the_end_of_a_job_that_is_forgotten(ledger: Ledger) -> None:
    running = create(ledger)
    claim(ledger)
    waiting = create(ledger)
    with ledger.client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(f"{ledger.channels}:updates")
        channel.get_message(timeout=5)
        for ref in (waiting, running):
            ledger.run(commands.forget(ref))
            message = channel.get_message(timeout=5)
            assert '"type":"canceled"' in message["data"]
            assert ref.id in message["data"]


def test_a_job_to_forget_is_given_to_one_sweeper_at_a_time(ledger: Ledger) -> None:
    ref = create(ledger, ttl_ms=0)
    ledger.run(commands.cancel(ref))
    assert ledger.run(commands.sweep(lease_s=5)).forgettable == (ref,)
    assert ledger.run(commands.sweep(lease_s=5)).forgettable == ()


def test_a_record_that_vanished_blocks_no_other(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    running, waiting, overdue, last = (
        create(ledger, queue_ttl_ms=ms) for ms in (60_000, 60_000, 0, 60_000)
    )
    claim(ledger, lease_s=0)
    for ref in (running, waiting, overdue):  # as an eviction would
        ledger.client.delete(f"{ledger.root}:job:{ref}")
    assert [entry.waiting for entry in ledger.run(commands.list_models())] == [3]
    ledger.run(commands.sweep(lease_s=5))
    assert [lease.ref for lease in claim(ledger, room=5)] == [last]
    assert ledger.client.zcard(f"{ledger.root}:queue:shapes") == 0
    assert ledger.client.zcard(f"{ledger.root}:leases") == 1


def test_a_page_is_newest_first_and_only_this_tenants(ledger: Ledger) -> None:
    mine = [create(ledger, tenant="one") for _ in range(3)]
    create(ledger, tenant="two")
    top = ledger.run(commands.list_jobs("one", below=None, limit=2))
    assert [record.ref for record in top] == [mine[2], mine[1]]
    rest = ledger.run(commands.list_jobs("one", below=top[-1].sequence, limit=2))
    assert [record.ref for record in rest] == [mine[0]]


def test_only_one_bell_is_reserved_until_it_is_released(ledger: Ledger) -> None:
    assert ledger.run(commands.reserve_bell("shapes", ttl_s=5)) is True
    assert ledger.run(commands.reserve_bell("shapes", ttl_s=5)) is False
    ledger.run(commands.release_bell(["shapes"]))
    assert ledger.run(commands.reserve_bell("shapes", ttl_s=5)) is True


def test_a_sweep_names_the_lines_that_wait_without_a_bell(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    assert ledger.run(commands.sweep(lease_s=5)).silent_queues == ()
    create(ledger)
    assert ledger.run(commands.sweep(lease_s=5)).silent_queues == ("shapes",)
    ledger.run(commands.reserve_bell("shapes", ttl_s=5))
    assert ledger.run(commands.sweep(lease_s=5)).silent_queues == ()


def test_the_catalogue_outlives_its_workers(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("w1", ["shapes"], ttl_s=5))
    create(ledger)
    [entry] = ledger.run(commands.list_models())
    assert (entry.workers, entry.waiting) == (1, 1)
    ledger.run(commands.heartbeat("w1", [], ttl_s=5))
    [entry] = ledger.run(commands.list_models())
    assert entry.workers == 0


def test_events_can_be_read_again_from_any_of_them(ledger: Ledger) -> None:
    ref = create(ledger)
    [lease] = claim(ledger)
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    all_of_them = ledger.run(commands.list_events(ref))
    assert ledger.run(commands.list_events(ref, after=all_of_them[0].id)) == all_of_them[1:]


@pytest.mark.parametrize("id", ["banana", "5", "-", "9" * 20 + "-0", "٣-٣", "1-1)", "1-1\n"])
def test_events_after_an_unknown_id_are_all_of_them(ledger: Ledger, id: str) -> None:
    ref = create(ledger)
    assert len(ledger.run(commands.list_events(ref, after=id))) == 1


async def test_both_ledgers_speak_of_the_same_jobs(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    ref = create(ledger)
    record = await async_ledger.run(commands.get(ref))
    assert record == read(ledger, ref)


async def test_more_callers_than_connections_wait_for_their_turn(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    ref = create(ledger)
    records = await asyncio.gather(*(async_ledger.run(commands.get(ref)) for _ in range(300)))
    assert {record.ref for record in records if record} == {ref}


def test_a_ledger_that_does_not_answer_says_so(settings: Settings) -> None:
    nobody = settings.model_copy(
        update={"redis_url": type(settings.redis_url)(f"redis://127.0.0.1:{free_port()}/0")}
    )
    with pytest.raises(LedgerUnavailable):
        Ledger.open(nobody).run(commands.check_writable())


def test_a_full_server_takes_no_job_but_lets_those_it_has_end(tmp_path, settings: Settings) -> None:
    server = Valkey(tmp_path)
    server.start()
    url = type(settings.redis_url)(server.url)
    ledger = Ledger.open(settings.model_copy(update={"redis_url": url}))
    first, second, waiting, late = (create(ledger, queue_ttl_ms=ms) for ms in (9999, 9999, 9999, 0))
    done, lost = claim(ledger, room=2, lease_s=0)
    ledger.client.config_set("maxmemory", 1)
    for refused in (commands.create(new_job(), max_queued=9), commands.check_writable()):
        with pytest.raises(LedgerFull):
            ledger.run(refused)
    ledger.run(commands.report_progress([(done, 1, 4)]))
    ledger.run(commands.add_output(done, image()))
    ledger.run(commands.settle(done, JobStatus.SUCCEEDED))
    ledger.run(commands.sweep(lease_s=5))
    ledger.run(commands.cancel(waiting))
    states = [read(ledger, ref).state for ref in (first, second, waiting, late)]
    assert states == ["succeeded", "queued", "canceled", "expired"]
    assert all(ledger.run(commands.forget(ref)) for ref in (first, lost.ref, waiting, late))
    ledger.close()
    server.stop()


def test_a_restarted_server_still_has_every_job(tmp_path, settings: Settings) -> None:
    server = Valkey(tmp_path, durable=True)
    server.start()
    url = type(settings.redis_url)(server.url)
    ledger = Ledger.open(settings.model_copy(update={"redis_url": url}))
    ref = create(ledger)
    server.stop()
    server.start()
    assert read(ledger, ref).state is JobStatus.QUEUED
    ledger.close()
    server.stop()


def test_a_redis_error_about_a_command_is_no_outage(ledger: Ledger) -> None:
    with pytest.raises(ResponseError):
        ledger.run(Command("gateway/create", ("no JSON", ""), bool))
