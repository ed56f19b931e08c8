"""A model that its last worker serves no longer leaves the catalogue, and its jobs end."""

import time

import pytest

from latentry.contracts import (
    CaptionerCard,
    InputFile,
    JobStatus,
    ResolvedCaption,
    ResolvedUpscale,
    UpscalerCard,
)
from latentry.errors import ModelGone
from latentry.ledger import JobRef, Lease, Ledger, commands, files
from tests.latentry.ledger.audit import audit
from tests.latentry.ledger.factory import card, new_job
from worker.claims.catalogue.served_cards import WITHDRAW_S
from worker.process.watchdog import BOOT_S

FILE = files.FileRef("default", "file_" + "1" * 32)
PICTURE = InputFile(file=FILE.id, pixel_sha256="1", width=8, height=8)
BESIDE = {
    "captioner": CaptionerCard(captioner="blip", side=384),
    "upscaler": UpscalerCard(
        id="4x", architecture="ESRGAN", scale=4, default_scale=4, created=0, tile=160
    ),
}
ASKED = {
    BESIDE["captioner"].queue: ResolvedCaption(image=PICTURE, max_tokens=4),
    BESIDE["upscaler"].queue: ResolvedUpscale(image=PICTURE, scale=4, upscaler="4x"),
}


def create(ledger: Ledger, model: str = "shapes") -> JobRef:
    job = new_job(request=ASKED[model]) if model in ASKED else new_job(model=model)
    return ledger.run(commands.create(job, max_queued=1000)).ref


def state(ledger: Ledger, ref: JobRef) -> tuple[JobStatus, str]:
    record = ledger.run(commands.get(ref))
    assert record is not None
    return record.state, record.error.code if record.error else ""


def listed(ledger: Ledger) -> list[str]:
    return [entry.card.id for entry in ledger.run(commands.list_models())]


def test_its_waiting_jobs_fail_with_a_code_and_others_go_on(ledger: Ledger) -> None:
    for model in ("shapes", "other"):
        ledger.run(commands.register_model(card(model)))
    ledger.run(commands.heartbeat("w1", ["other"], ttl_s=60))
    running, waiting, other = create(ledger), create(ledger), create(ledger, "other")
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=60))
    assert lease.ref == running
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 1
    assert listed(ledger) == ["other"]
    assert state(ledger, waiting) == (JobStatus.FAILED, "model_gone")
    assert state(ledger, running) == (JobStatus.RUNNING, "")
    assert state(ledger, other) == (JobStatus.QUEUED, "")
    ledger.run(commands.release(lease))
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 1, "said again, for those"
    assert state(ledger, running) == (JobStatus.FAILED, "model_gone")
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 0
    record = ledger.run(commands.get(waiting))
    assert record is not None
    assert record.error is not None
    assert record.error.message == ModelGone().message
    audit(ledger)


@pytest.mark.parametrize("dies", [False, True])
def test_a_job_that_comes_back_long_after_fails_at_a_sweep(ledger: Ledger, *, dies: bool) -> None:
    """It would wait for nobody until its time is over."""
    ref, [lease] = withdrawn_while_running(ledger)
    ledger.run(commands.sweep(lease_s=60))
    assert state(ledger, ref) == (JobStatus.RUNNING, "")
    if dies:
        ledger.client.zadd(f"{ledger.root}:leases", {str(ref): 0})
    else:
        ledger.run(commands.release(lease))
    ledger.run(commands.sweep(lease_s=60))
    assert state(ledger, ref) == (JobStatus.FAILED, "model_gone")
    assert not ledger.client.smembers(f"{ledger.root}:withdrawn"), "nothing of it may come back"
    audit(ledger)


def test_one_that_comes_back_to_a_model_that_is_served_again_waits(ledger: Ledger) -> None:
    ref, [lease] = withdrawn_while_running(ledger)
    ledger.run(commands.register_model(card()))
    ledger.run(commands.release(lease))
    ledger.run(commands.sweep(lease_s=60))
    assert state(ledger, ref) == (JobStatus.QUEUED, "")


def withdrawn_while_running(ledger: Ledger) -> tuple[JobRef, list[Lease]]:
    ledger.run(commands.register_model(card()))
    ref = create(ledger)
    leases = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.withdraw_model("w1", "shapes"))
    return ref, list(leases)


def test_nothing_happens_while_another_worker_serves_it(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("w2", ["other", "shapes"], ttl_s=60))
    ref = create(ledger)
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 0
    assert listed(ledger) == ["shapes"]
    assert state(ledger, ref) == (JobStatus.QUEUED, "")
    ledger.run(commands.heartbeat("w2", ["other", "shapes-2"], ttl_s=60))
    assert ledger.run(commands.withdraw_model("w2", "shapes")) == 1
    assert not listed(ledger)


AWAY = {
    "it did not load there just now": [{"models": ["other"], "failed": ["shapes"]}],
    "nor anything else": [{"models": [], "failed": ["shapes"]}],
    "it is told to stop": [{"models": ["shapes"]}, {"models": []}],
    "it died": [{"models": ["shapes"], "ttl_s": 0.001}],
    "it starts": [{"models": [], "ttl_s": 0, "failed": ["shapes"]}],
}


@pytest.mark.parametrize("why", AWAY)
def test_nothing_happens_while_another_worker_that_had_it_may_be_back(
    ledger: Ledger, why: str
) -> None:
    ledger.run(commands.register_model(card()))
    for beat in AWAY[why]:
        ledger.run(commands.heartbeat("w2", **({"ttl_s": 60.0} | beat)))
    ref = create(ledger)
    ledger.run(commands.sweep(lease_s=60))
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 0
    ledger.run(commands.sweep(lease_s=60))
    assert (listed(ledger), state(ledger, ref)) == (["shapes"], (JobStatus.QUEUED, ""))
    servers = f"{ledger.root}:servers:shapes"
    left_s = ledger.client.zscore(servers, "w2") / 1000 - time.time()
    assert BOOT_S - 30 < left_s < WITHDRAW_S - 30, "as long as a start takes; it is said for longer"
    ledger.client.zadd(servers, {"w2": 1})
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 1
    assert state(ledger, ref) == (JobStatus.FAILED, "model_gone")


def test_what_the_worker_said_of_itself_before_does_not_count(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("w1", ["shapes"], ttl_s=60))
    ref = create(ledger)
    ledger.run(commands.withdraw_model("w1", "shapes"))
    assert state(ledger, ref) == (JobStatus.FAILED, "model_gone")


def test_so_many_at_once_and_suspects_and_lost_records_too(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    refs = [create(ledger) for _ in range(5)]
    leases = ledger.run(commands.claim("w2", ["shapes"], room=2, lease_s=60, begins=True))
    for lease in leases:
        ledger.client.zadd(f"{ledger.root}:leases", {str(lease.ref): 0})
    ledger.run(commands.sweep(lease_s=60))  # both are suspects
    ledger.client.delete(f"{ledger.root}:job:{refs[2]}")
    ended = [ledger.run(commands.withdraw_model("w1", "shapes", most=2)) for _ in range(4)]
    assert ended == [2, 2, 1, 0]
    left = [ref for ref in refs if ref != refs[2]]
    assert {state(ledger, ref) for ref in left} == {(JobStatus.FAILED, "model_gone")}


def test_a_record_that_makes_no_sense_ends_and_keeps_no_other_from_ending(ledger: Ledger) -> None:
    """Else the worker that says it would end, and all its jobs with it."""
    broken, other = create(ledger), create(ledger)
    ledger.client.hdel(f"{ledger.root}:job:{broken}", "model", "cost_ms", "ttl_ms")
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 2
    assert state(ledger, other) == (JobStatus.FAILED, "model_gone")
    found = ledger.client.hmget(f"{ledger.root}:job:{broken}", "state", "error_code")
    assert found == [JobStatus.FAILED, "unreadable_record"]
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 0


@pytest.fixture(params=BESIDE)
def beside(request: pytest.FixtureRequest, ledger: Ledger) -> str:
    """The queue of what one worker has beside models and another has not."""
    card_ = BESIDE[request.param]
    ledger.run(commands.register_model(card()))
    ledger.run(commands.heartbeat("w1", ["shapes"], ttl_s=60))
    ledger.run(commands.heartbeat("w2", ["shapes", card_.queue], ttl_s=60))
    ledger.run(commands.register_model(card_))
    new = files.NewFile(FILE, 1, "0" * 64, 8, 8)
    ledger.run(files.keep(new, ttl_ms=60_000, max_files=9, max_bytes=9))
    return card_.queue


def forget_server(ledger: Ledger, queue: str, worker: str = "w2") -> None:
    """As if its last heartbeat was five minutes ago."""
    ledger.client.zadd(f"{ledger.root}:servers:{queue}", {worker: 1})


def test_what_is_beside_models_goes_with_the_last_worker_that_had_it(
    ledger: Ledger, beside: str
) -> None:
    """Requests for it would wait for nobody until their time is over."""
    waiting, other = create(ledger, beside), create(ledger)
    ledger.run(commands.heartbeat("w2", [], ttl_s=60))
    ledger.run(commands.sweep(lease_s=60))
    assert (len(listed(ledger)), state(ledger, waiting)) == (2, (JobStatus.QUEUED, ""))
    forget_server(ledger, beside)
    ledger.run(commands.sweep(lease_s=60))
    assert listed(ledger) == ["shapes"]
    assert state(ledger, waiting) == (JobStatus.FAILED, "model_gone")
    assert state(ledger, other) == (JobStatus.QUEUED, "")
    audit(ledger)


def test_jobs_of_a_gateway_that_read_the_catalogue_before_end_too(
    ledger: Ledger, beside: str
) -> None:
    forget_server(ledger, beside)
    for _ in range(3):
        late = create(ledger, beside)
        ledger.run(commands.sweep(lease_s=60))
        assert state(ledger, late) == (JobStatus.FAILED, "model_gone")


def test_it_is_there_again_with_the_next_worker_that_has_it(ledger: Ledger, beside: str) -> None:
    forget_server(ledger, beside)
    ledger.run(commands.sweep(lease_s=60))
    [own] = [one for one in BESIDE.values() if one.queue == beside]
    ledger.run(commands.heartbeat("w3", [beside], ttl_s=60))
    ledger.run(commands.register_model(own))
    ref = create(ledger, beside)
    ledger.run(commands.sweep(lease_s=60))
    assert (len(listed(ledger)), state(ledger, ref)) == (2, (JobStatus.QUEUED, ""))


@pytest.mark.parametrize("what", ["nobody is there", "one that has it starts"])
def test_it_stays_while(ledger: Ledger, beside: str, what: str) -> None:
    forget_server(ledger, beside)
    if what == "nobody is there":
        for worker in ("w1", "w2"):
            ledger.run(commands.heartbeat(worker, [], ttl_s=60))
        forget_server(ledger, beside)
    else:
        ledger.run(commands.starting("w3", [beside]))
    ref = create(ledger, beside)
    ledger.run(commands.sweep(lease_s=60))
    assert (len(listed(ledger)), state(ledger, ref)) == (2, (JobStatus.QUEUED, ""))


def test_when_all_were_away_nothing_goes_before_the_others_are_back(
    ledger: Ledger, beside: str
) -> None:
    waiting = create(ledger, beside)
    for worker in ("w1", "w2"):
        ledger.run(commands.heartbeat(worker, [], ttl_s=60))
    forget_server(ledger, beside)
    ledger.run(commands.sweep(lease_s=60))
    ledger.run(commands.heartbeat("w1", ["shapes"], ttl_s=60))
    ledger.run(commands.sweep(lease_s=60))
    assert state(ledger, waiting) == (JobStatus.QUEUED, "")
    forget_server(ledger, beside, "somebody")
    ledger.run(commands.sweep(lease_s=60))
    assert state(ledger, waiting) == (JobStatus.FAILED, "model_gone")


@pytest.mark.parametrize("hours", [1, -1])
def test_after_an_outage_nothing_goes_before_the_others_are_back(
    ledger: Ledger, beside: str, hours: int
) -> None:
    """Nobody could say for long what it has; or the clock was set."""
    forget_server(ledger, beside)
    forget_server(ledger, "shapes", "w1")
    forget_server(ledger, "shapes")
    ledger.client.set(f"{ledger.root}:swept", round((time.time() - hours * 3600) * 1000))
    waiting, other = create(ledger, beside), create(ledger)
    ledger.run(commands.sweep(lease_s=60))
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 0
    ledger.run(commands.sweep(lease_s=60))
    assert [state(ledger, one) for one in (waiting, other)] == [(JobStatus.QUEUED, "")] * 2
    for queue in (beside, "shapes"):
        left_s = ledger.client.zscore(f"{ledger.root}:servers:{queue}", "somebody") / 1000
        assert 30 < left_s - time.time() <= 60
        forget_server(ledger, queue, "somebody")
    ledger.run(commands.sweep(lease_s=60))
    assert ledger.run(commands.withdraw_model("w1", "shapes")) == 1
    assert state(ledger, waiting) == (JobStatus.FAILED, "model_gone")


def test_a_worker_that_starts_takes_no_jobs_so_far(ledger: Ledger) -> None:
    ledger.run(commands.register_model(card()))
    ledger.run(commands.starting("w1", ["shapes"]))
    [entry] = ledger.run(commands.list_models())
    assert entry.workers == 0


@pytest.mark.parametrize("damage", ["its cost cannot be read", "its record is gone"])
def test_what_ran_of_a_lost_job_counts_no_longer(ledger: Ledger, damage: str) -> None:
    """Its seat would seem taken for ever, and waits too long for others to be accepted."""
    ledger.run(commands.register_model(card()))
    lost, kept = (create(ledger) for _ in range(2))
    assert len(ledger.run(commands.claim("w1", ["shapes"], room=2, lease_s=60))) == 2
    load = f"{ledger.root}:load:shapes"
    before = {what: int(sum) for what, sum in ledger.client.hgetall(load).items()}
    if damage == "its record is gone":
        ledger.client.delete(f"{ledger.root}:job:{lost}")
    else:
        ledger.client.hset(f"{ledger.root}:job:{lost}", "cost_ms", "?")
    ledger.client.zadd(f"{ledger.root}:leases", {str(lost): 0})
    ledger.run(commands.sweep(lease_s=60))
    after = {what: int(sum) for what, sum in ledger.client.hgetall(load).items()}
    assert after == {what: sum / 2 for what, sum in before.items()}
    assert state(ledger, kept) == (JobStatus.RUNNING, "")
