"""A job whose worker died runs apart from others, until it gets further than it did then."""

from latentry.contracts import JobStatus
from latentry.ledger import JobRef, Lease, Ledger, commands
from tests.latentry.ledger.factory import image, new_job


def create(ledger: Ledger) -> JobRef:
    return ledger.run(commands.create(new_job(), max_queued=100)).ref


def claim(
    ledger: Ledger, worker: str = "w1", *, room: int = 8, held: int = 0, crashed: int = 0
) -> list[Lease]:
    already = {"held": held, "crashed": crashed}
    return ledger.run(commands.claim(worker, ["shapes"], room=room, lease_s=60, **already))


def refs(leases: list[Lease]) -> list[JobRef]:
    return [lease.ref for lease in leases]


def die(ledger: Ledger, leases: list[Lease], step: int = 1) -> None:
    """The worker dies at this step of all that it holds."""
    ledger.run(commands.report_progress([(lease, step, 9) for lease in leases]))
    for lease in leases:
        ledger.client.zadd(f"{ledger.root}:leases", {str(lease.ref): 0})
    ledger.run(commands.sweep(lease_s=60))


def kill_twice(ledger: Ledger) -> JobRef:
    ref = create(ledger)
    die(ledger, claim(ledger))
    die(ledger, claim(ledger))
    return ref


def passed_over_for_long(ledger: Ledger, ref: JobRef) -> None:
    ledger.client.zadd(f"{ledger.root}:quarantined:shapes", {str(ref): 0})


def test_each_worker_gets_one_suspect_with_whatever_else_it_has(ledger: Ledger) -> None:
    batch = [create(ledger) for _ in range(3)]
    die(ledger, claim(ledger))
    fresh = [create(ledger) for _ in range(4)]
    assert refs(claim(ledger, room=3)) == [batch[0], *fresh[:2]]
    assert refs(claim(ledger, room=1, held=3, crashed=1)) == [fresh[2]]
    assert refs(claim(ledger, "w2", room=1)) == [batch[1]]


def test_a_job_with_two_dead_workers_runs_alone_on_an_empty_one(ledger: Ledger) -> None:
    quarantined = kill_twice(ledger)
    others = [create(ledger) for _ in range(3)]
    assert refs(claim(ledger, held=1)) == others
    assert refs(claim(ledger, "w2")) == [quarantined]


def test_a_quarantined_job_that_was_passed_over_for_long_reserves_the_next_worker(
    ledger: Ledger,
) -> None:
    quarantined = kill_twice(ledger)
    passed_over_for_long(ledger, quarantined)
    other = create(ledger)
    assert claim(ledger, "w1", held=2) == []
    assert refs(claim(ledger, "w2", held=2)) == [other], "one worker is enough"
    assert claim(ledger, "w1", held=1) == []
    assert refs(claim(ledger, "w1", held=0)) == [quarantined]


def test_what_is_reserved_for_quarantined_is_not_kept_for_ever(ledger: Ledger) -> None:
    quarantined = kill_twice(ledger)
    passed_over_for_long(ledger, quarantined)
    claim(ledger, "w1", held=1)
    assert ledger.client.pttl(f"{ledger.root}:reserved:{quarantined}") > 0


def test_the_third_death_ends_it_and_that_one_it_met_alone(ledger: Ledger) -> None:
    quarantined = kill_twice(ledger)
    create(ledger)
    alone = claim(ledger)
    assert refs(alone) == [quarantined]
    die(ledger, alone)
    record = ledger.run(commands.get(quarantined))
    assert record is not None
    assert record.state is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "poison"


def test_a_job_that_gets_further_than_its_dead_worker_is_no_suspect_any_more(
    ledger: Ledger,
) -> None:
    ref = create(ledger)
    die(ledger, claim(ledger), step=3)
    leases = claim(ledger)
    ledger.run(commands.report_progress([(leases[0], 3, 9)]))
    record = ledger.run(commands.get(ref))
    assert record is not None
    assert record.crashes == 1
    ledger.run(commands.report_progress([(leases[0], 4, 9)]))
    record = ledger.run(commands.get(ref))
    assert record is not None
    assert record.crashes == 0


def test_a_picture_more_is_further_than_its_dead_worker_came(ledger: Ledger) -> None:
    """Steps are told of the image that is furthest behind: of four in turn, none for long."""
    ref = ledger.run(commands.create(new_job(images=4), max_queued=100)).ref
    for index in range(4):
        leases = claim(ledger)
        assert refs(leases) == [ref]
        ledger.run(commands.add_output(leases[0], image(index)))
        die(ledger, leases, step=0)
        record = ledger.run(commands.get(ref))
        assert record is not None
        assert (record.state, record.crashes) == (JobStatus.QUEUED, 1)


def test_a_poisonous_job_costs_each_neighbour_one_attempt(ledger: Ledger) -> None:
    """The whole course, with a worker that dies whenever it steps the poison."""
    poison = create(ledger)
    innocent = [create(ledger) for _ in range(9)]
    lost = dict.fromkeys(innocent, 0)
    for _ in range(40):
        leases = claim(ledger, room=4)
        if poison in refs(leases):
            for lease in leases:
                lost[lease.ref] = lost.get(lease.ref, 0) + 1
            die(ledger, leases)
            continue
        for lease in leases:
            ledger.run(commands.report_progress([(lease, 9, 9)]))
            ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    records = {ref: ledger.run(commands.get(ref)) for ref in [poison, *innocent]}
    states = {ref: record.state for ref, record in records.items() if record}
    assert states == {poison: JobStatus.FAILED} | dict.fromkeys(innocent, JobStatus.SUCCEEDED)
    assert max(lost[ref] for ref in innocent) <= 1
