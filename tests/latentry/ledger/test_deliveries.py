"""Deliveries: entered once with the event, sent at least once, ended for good."""

import json

import pytest

from latentry.contracts import DeliveryStatus, JobStatus, Webhook, WebhookEvent
from latentry.ledger import JobRef, Ledger, NewJob, commands, deliveries
from latentry.ledger.deliveries import Capacity, DueDelivery
from tests.latentry.ledger.due import make_due
from tests.latentry.ledger.factory import card, new_job

LEASE_S = 30
CAPACITY = Capacity(all=64, receiver=4, tenant=16)
URL = "https://shop.example/hook"


@pytest.fixture(autouse=True)
def worker(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("w", ["shapes"], ttl_s=60))


def enter(
    ledger: Ledger, *events: WebhookEvent, url: str = URL, host: str = "shop.example", **job: str
) -> JobRef:
    webhook = Webhook(url=url, events=list(events)) if events else Webhook(url=url)
    made = new_job(**job)
    receiver = f"{made.ref.tenant}@{host}:443"
    new = NewJob(made.ref, made.request, 60_000, 60_000, webhook=webhook, receiver=receiver)
    ledger.run(commands.create(new, max_queued=10_000))
    return made.ref


def end(ledger: Ledger, ref: JobRef, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    leases = ledger.run(commands.claim("w", ["shapes"], room=100, lease_s=30))
    [lease] = [lease for lease in leases if lease.ref == ref]
    ledger.run(commands.settle(lease, status))


def take(ledger: Ledger, capacity: Capacity = CAPACITY, **busy: int) -> list[DueDelivery]:
    return ledger.run(deliveries.take(capacity, busy=busy, lease_s=LEASE_S))


def report(ledger: Ledger, due: DueDelivery, to: DeliveryStatus, **more: float) -> bool:
    return ledger.run(deliveries.report(due, to, duration_ms=7, status=500, **more))


def states(ledger: Ledger, ref: JobRef) -> dict[str, str]:
    return {d.event.value: d.state.value for d in ledger.run(deliveries.list_deliveries(ref))}


def test_a_jobs_end_is_delivered_once_with_the_job_as_it_ended(ledger: Ledger) -> None:
    ref = enter(ledger)
    end(ledger, ref)
    [due] = take(ledger)
    assert (due.ref, due.event, due.url) == (ref, WebhookEvent.SUCCEEDED, URL)
    assert (due.attempt, due.tries, due.is_job_known) == (1, 1, True)
    assert due.record.state is JobStatus.SUCCEEDED
    assert due.record.finished_ms
    assert due.id.startswith("evt_")
    assert take(ledger) == [], "it is leased"
    assert report(ledger, due, DeliveryStatus.DELIVERED)
    make_due(ledger)
    assert take(ledger) == []
    assert ledger.run(deliveries.measure_backlog()) == (0, 0)


def test_a_job_without_a_webhook_has_no_deliveries(ledger: Ledger) -> None:
    job = new_job()
    ledger.run(commands.create(job, max_queued=10))
    end(ledger, job.ref)
    assert take(ledger) == []
    assert ledger.run(deliveries.list_deliveries(job.ref)) == []


@pytest.mark.parametrize("event", list(WebhookEvent))
def test_only_requested_events_are_delivered(ledger: Ledger, event: WebhookEvent) -> None:
    refs = [enter(ledger, event) for _ in range(3)]
    ledger.run(commands.cancel(refs[0]))
    leases = ledger.run(commands.claim("w", ["shapes"], room=10, lease_s=30))
    ledger.run(commands.settle(leases[0], JobStatus.SUCCEEDED))
    ledger.run(commands.settle(leases[1], JobStatus.FAILED))
    expected = {"running": 2, "succeeded": 1, "failed": 1, "canceled": 1, "expired": 0}
    told = take(ledger)
    assert {due.event for due in told} <= {event}
    assert len(told) == expected[event.value]


def test_a_job_that_runs_again_is_delivered_as_running_once(ledger: Ledger) -> None:
    ref = enter(ledger, WebhookEvent.RUNNING)
    for _ in range(3):
        [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=30))
        ledger.run(commands.release(lease))
    [first] = take(ledger)
    make_due(ledger)
    [again] = take(ledger)
    assert (again.id, again.name) == (first.id, first.name)
    assert states(ledger, ref) == {"running": "waiting"}


def test_a_failed_attempt_waits_and_keeps_its_id(ledger: Ledger) -> None:
    ref = enter(ledger)
    end(ledger, ref)
    ids = set()
    for number in (1, 2, 3):
        [due] = take(ledger)
        assert due.attempt == due.tries == number
        ids.add(due.id)
        assert report(ledger, due, DeliveryStatus.WAITING, retry_s=3_600)
        assert take(ledger) == []
        make_due(ledger)
    assert len(ids) == 1
    [known] = ledger.run(deliveries.list_deliveries(ref))
    assert [(a.number, a.status, a.duration_ms) for a in known.attempts] == [
        (1, 500, 7),
        (2, 500, 7),
        (3, 500, 7),
    ]


def test_two_gateways_take_a_delivery_once_and_again_when_one_of_them_dies(ledger: Ledger) -> None:
    end(ledger, enter(ledger))
    [lost] = take(ledger)
    assert take(ledger) == []
    make_due(ledger)  # the lease of a gateway that died
    [heirs] = take(ledger)
    assert (heirs.id, heirs.attempt) == (lost.id, 2)
    assert report(ledger, lost, DeliveryStatus.EXHAUSTED), "it is logged"
    assert states(ledger, heirs.ref) == {"succeeded": "waiting"}, "but decides nothing"
    assert report(ledger, lost, DeliveryStatus.DELIVERED), "unless it arrived after all"
    assert states(ledger, heirs.ref) == {"succeeded": "delivered"}
    assert not report(ledger, heirs, DeliveryStatus.WAITING)
    assert states(ledger, heirs.ref) == {"succeeded": "delivered"}


def test_a_report_made_twice_counts_once(ledger: Ledger) -> None:
    ref = enter(ledger)
    end(ledger, ref)
    [due] = take(ledger)
    for _ in range(2):
        assert report(ledger, due, DeliveryStatus.WAITING, retry_s=60)
    [known] = ledger.run(deliveries.list_deliveries(ref))
    assert len(known.attempts) == 1
    assert known.due_ms is not None


def test_the_log_is_bounded(ledger: Ledger) -> None:
    ref = enter(ledger)
    end(ledger, ref)
    for _ in range(25):
        make_due(ledger)
        [due] = take(ledger)
        report(ledger, due, DeliveryStatus.WAITING, retry_s=60)
    [known] = ledger.run(deliveries.list_deliveries(ref))
    assert [attempt.number for attempt in known.attempts] == list(range(6, 26))


def test_a_receiver_that_answered_410_gets_nothing_until_a_redelivery(ledger: Ledger) -> None:
    def ended(**job: str) -> JobRef:
        ref = enter(ledger, **job)
        end(ledger, ref)
        return ref

    refs = [ended(), ended()]
    first, second = take(ledger)
    report(ledger, second, DeliveryStatus.WAITING)
    report(ledger, first, DeliveryStatus.DISABLED)
    make_due(ledger)
    assert take(ledger) == []
    refs.append(ended())
    elsewhere = ended(tenant="other")
    assert [due.ref for due in take(ledger)] == [elsewhere], "another tenant's is another's"
    assert [states(ledger, ref) for ref in refs] == [{"succeeded": "disabled"}] * 3
    assert ledger.run(deliveries.redeliver(refs[2], WebhookEvent.SUCCEEDED))
    assert [due.ref for due in take(ledger)] == [refs[2]]
    assert ledger.run(deliveries.measure_backlog())[0] == 2


def test_a_redelivery_begins_the_schedule_anew_and_keeps_the_log(ledger: Ledger) -> None:
    ref = enter(ledger)
    assert not ledger.run(deliveries.redeliver(ref, WebhookEvent.SUCCEEDED))
    end(ledger, ref)
    [due] = take(ledger)
    report(ledger, due, DeliveryStatus.EXHAUSTED)
    assert ledger.run(deliveries.redeliver(ref, WebhookEvent.SUCCEEDED))
    [again] = take(ledger)
    assert (again.id, again.attempt, again.tries) == (due.id, 2, 1)
    assert again.record.state is JobStatus.SUCCEEDED
    report(ledger, again, DeliveryStatus.DELIVERED)
    [known] = ledger.run(deliveries.list_deliveries(ref))
    assert len(known.attempts) == 2
    assert not ledger.run(deliveries.redeliver(ref, WebhookEvent.FAILED))


def test_what_is_not_delivered_yet_outlives_its_job_unless_its_owner_deletes_it(
    ledger: Ledger,
) -> None:
    kept, dropped = enter(ledger), enter(ledger)
    end(ledger, kept)
    ledger.run(commands.forget(dropped, silently=True))  # which cancels it first
    ledger.run(commands.forget(kept))
    [due] = take(ledger)
    assert (due.ref, due.is_job_known) == (kept, False)
    assert due.record.state is JobStatus.SUCCEEDED
    report(ledger, due, DeliveryStatus.DELIVERED)
    assert ledger.client.keys(f"{ledger.root}*{dropped.id}*") == []
    # That there was such a job is known for a time.
    assert ledger.client.keys(f"{ledger.root}*{kept.id}*") == [f"{ledger.root}:forgotten:{kept}"]
    assert ledger.client.keys(f"{ledger.root}:deliver*") == []
    assert ledger.client.keys(f"{ledger.root}:receivers") == []


def test_every_key_of_an_ended_delivery_ends_with_its_job(ledger: Ledger) -> None:
    ref = enter(ledger)
    end(ledger, ref)
    [due] = take(ledger)
    key = f"{ledger.root}:delivery:{due.name}"
    assert ledger.client.pttl(key) > 6 * 24 * 3_600_000, "longer than all attempts take"
    report(ledger, due, DeliveryStatus.DELIVERED)
    left_ms = ledger.client.pttl(f"{ledger.root}:job:{ref}")  # read first: time passes
    assert 0 < ledger.client.pttl(key) <= left_ms
    assert "record" not in ledger.client.hgetall(key)


def test_no_receiver_and_no_tenant_gets_more_than_its_share(ledger: Ledger) -> None:
    for host in ("a.example", "b.example", "c.example"):
        for _ in range(4):
            end(ledger, enter(ledger, host=host, url=f"https://{host}/"))
    end(ledger, enter(ledger, tenant="other", host="a.example"))
    capacity = Capacity(all=8, receiver=2, tenant=3)
    taken = take(ledger, capacity, **{"default@c.example:443": 2})
    assert [due.receiver for due in taken] == ["default@a.example:443", "other@a.example:443"]
    assert take(ledger, capacity, **{"default@a.example:443": 8}) == [], "no room at all"


def test_receivers_at_their_limit_do_not_block_those_behind_them(ledger: Ledger) -> None:
    for number in range(1_005):
        ledger.run(commands.cancel(enter(ledger, host=f"h{number}.example")))
    end(ledger, enter(ledger, tenant="other"))
    capacity = Capacity(all=64, receiver=4, tenant=16)
    busy = {f"default@h{number}.example:443": 1 for number in range(16)}
    rounds = [take(ledger, capacity, **busy) for _ in range(2)]
    assert [due.ref.tenant for taken in rounds for due in taken] == ["other"]


def test_secrets_are_made_once_and_rotated(ledger: Ledger) -> None:
    def sign() -> list[str]:
        return ledger.run(deliveries.list_secrets("default", fresh="whsec_new"))

    assert sign() == ["whsec_new"]
    assert ledger.run(deliveries.list_secrets("default", fresh="whsec_other")) == ["whsec_new"]
    assert ledger.run(deliveries.rotate_secret("default", "whsec_2", keep_s=60)) == 2
    assert ledger.run(deliveries.rotate_secret("default", "whsec_2", keep_s=60)) == 2
    assert sign() == ["whsec_2", "whsec_new"]
    assert ledger.run(deliveries.rotate_secret("default", "whsec_3", keep_s=0)) == 1
    assert sign() == ["whsec_3"]
    assert ledger.run(deliveries.list_secrets("other", fresh="whsec_o")) == ["whsec_o"]


def test_numbers_and_texts_go_through_unchanged(ledger: Ledger) -> None:
    ref = enter(ledger)
    end(ledger, ref)
    [due] = take(ledger)
    now = ledger.run(commands.get(ref))
    assert now is not None
    assert due.record == now
    assert json.loads(due.snapshot)
    assert abs(due.now_ms - due.made_ms) < 10_000
