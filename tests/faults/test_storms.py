"""Kills without end, while work keeps coming: nothing is lost, nothing is done twice."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentry.contracts import JobStatus
from tests.e2e.conftest import SHAPES
from tests.e2e.processes import until
from tests.faults.figures import Figure
from tests.faults.history import History, digest
from tests.faults.house import FAST, House, house, took
from tests.faults.storm import Killer, doubled, ends_of, every, load, percentile, steps_needed

REAL = {"width": 96, "height": 96, "guidance_scale": 1.0}
SOON = {"lease_s": "3", "heartbeat_s": "1"}


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_a_kill_storm_loses_nothing_and_doubles_nothing(
    tmp_path: Path, storm_jobs: int, figure: Figure
) -> None:
    """T1 T4"""
    with house(tmp_path, models=FAST, durable=True) as fast:
        killer = Killer(fast, [fast.worker() for _ in range(3)])
        history, restarts = History(fast), 0

        def restart() -> None:
            nonlocal restarts
            fast.valkey.kill()
            fast.valkey.start()
            restarts += 1

        with every(3, killer.strike), every(30, restart):
            load(history, storm_jobs, a_second=15)
        ends = ends_of(history)
        entries = {str(ref): entry for ref, entry in history.check().items()}
        needed = steps_needed(entries.values())
        recoveries = killer.recoveries(entries)
        wasted = fast.steps_made - needed
        failed = [job for job in ends if job.status is not JobStatus.SUCCEEDED]
        figure("kill storm: jobs acknowledged", len(history.accepted))
        strikes = storm_jobs // 15 // 3  # in the time that it takes to submit them
        figure("kill storm: workers killed", killer.killed, at_least=strikes // 2)
        figure("kill storm: Valkey killed", restarts, at_least=strikes // 20)
        figure("kill storm: submissions refused or of unknown outcome", storm_jobs - len(ends))
        figure("kill storm: innocent jobs failed", len(failed), at_most=0)
        figure("kill storm: wasted steps", 100 * wasted / needed, "%", at_most=5)
        figure("kill storm: orphans' recovery, p50", percentile(recoveries, 0.5), "s")
        figure("kill storm: orphans' recovery, p99", percentile(recoveries, 0.99), "s", at_most=10)
        lost = history.accepted - {job.id for job in ends}
        figure("kill storm: jobs lost", len(lost), at_most=0)
        figure("kill storm: jobs with two results", len(doubled(history)), at_most=0)
        figure("kill storm: jobs left waiting beside room", fast.says("worker.idled"), at_most=0)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_a_kill_storm_on_the_real_engine_changes_no_pixel(
    tmp_path: Path, storm_jobs: int, figure: Figure
) -> None:
    """T1"""
    kills = max(1, 5 * storm_jobs // 2_000)
    jobs = 60 * kills
    models, options = f"shapes={SHAPES}", REAL | {"determinism": "strict"}
    with house(tmp_path, models=models, durable=True, threads="1", checkpoint_s="0.5") as real:
        killer = Killer(real, [real.worker()])
        history = History(real)
        alone = {seed: real.end_of(real.submit(20, seed=seed, **options)) for seed in range(5)}
        undisturbed = {seed: digest(real, job) for seed, job in alone.items()}

        def strike() -> None:
            if killer.killed < kills:
                killer.strike()

        with every(20, strike):
            for number in range(jobs):
                history.submit(20, seed=number % 5, **options)
                threading.Event().wait(22 / 60)  # so that the kills fall among them
            ends = ends_of(history)
        history.accepted |= {job.id for job in alone.values()}
        assert {job.status for job in ends} == {JobStatus.SUCCEEDED}
        changed = [job for job in ends if digest(real, job) != undisturbed[job.request.seed]]
        history.check()
        idled = real.says("worker.idled")
        figure("real engine: strict jobs under kills", len(ends))
        figure("real engine: jobs left waiting beside room", idled, at_most=0)
        figure("real engine: workers killed", killer.killed, at_least=kills)
        figure("real engine: pictures that differ from an undisturbed run", len(changed), at_most=0)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("engine", ["simulated", "real"])
def test_sigterm_at_a_random_step_costs_a_step_at_most(
    tmp_path: Path, storm_jobs: int, figure: Figure, engine: str
) -> None:
    """T21"""
    is_real = engine == "real"
    times = max(3, storm_jobs * (20 if is_real else 200) // 2_000)
    models = f"shapes={SHAPES}" if is_real else "shapes=simulated:call_ms=20:row_ms=32"
    side = 96 if is_real else 64
    options = {"width": side, "height": side, "guidance_scale": 1.0, "determinism": "strict"}
    steps, chance = 40, random.Random(3)
    with house(tmp_path, models=models, threads="1") as one:
        history, drains, redone = History(one), [], []
        worker = one.worker()
        alone = one.end_of(one.submit(steps, seed=1, **options), 120)
        history.accepted.add(alone.id)
        expected = digest(one, alone)
        for _ in range(times):
            made, at = one.steps_made, chance.randint(1, steps - 5)
            job = history.submit(steps, seed=1, **options)
            assert job
            until(lambda made=made, at=at: one.steps_made >= made + at, 60, "its step")  # type: ignore[misc]
            began = time.monotonic()
            assert worker.stop() == 0
            drains.append(took(began))
            worker = one.add("tests.faults.worker")
            end = history.end_of(job.id)
            assert end.status is JobStatus.SUCCEEDED
            assert digest(one, end) == expected
            redone.append(one.steps_made - made - steps)
        history.check()
        figure(f"SIGTERM at a random step, {engine}: repetitions", times)
        figure(f"SIGTERM, {engine}: steps repeated, at most", max(redone), at_most=1)
        figure(f"SIGTERM, {engine}: the worker exits after, p50", percentile(drains, 0.5), "s")
        figure(f"SIGTERM, {engine}: the worker exits after, at most", max(drains), "s", at_most=3.2)


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, models=FAST, **SOON) as made:
        yield made


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_poison_jobs_fail_as_poison_and_no_other_job_fails(
    fast: House, storm_jobs: int, figure: Figure
) -> None:
    """T17"""
    jobs = max(100, storm_jobs // 4)
    for _ in range(3):
        fast.add("tests.faults.worker")
    until(lambda: fast.workers() == 3, 60, "the workers being counted")
    history, poison = History(fast), set()
    for number in range(jobs):
        if number % 100 == 50:
            job = history.submit(20, metadata={"hazard": "exit@5"})
            assert job
            poison.add(job.id)
        else:
            history.submit(60)
        threading.Event().wait(1 / 6)  # one of them is through before the next one comes
    ends = ends_of(history)
    entries = {ref.id: entry for ref, entry in history.check().items()}
    for job in ends:
        if job.id in poison:
            assert job.error
            assert job.error.code == "poison"
    failed = [job for job in ends if job.id not in poison and job.error]
    deaths = [entry.deaths for id, entry in entries.items() if id not in poison]
    figure("poison: jobs that kill their process", len(poison))
    figure("poison: innocent jobs failed", len(failed), at_most=0)
    figure("poison: innocent jobs that lost an attempt", sum(map(bool, deaths)))
    figure("poison: jobs left waiting beside room", fast.says("worker.idled"), at_most=0)
    figure("poison: attempts an innocent job lost, at most", max(deaths), at_most=1)
