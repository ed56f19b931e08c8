"""Fast calls leave the CPUs that other processes use; strict ones keep their threads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from latentry.cpus import time_limit, usable_cpus
from tests.worker.engine import tiny
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.neighbours import Neighbours
from worker.engine.threads import Threads, choose_threads
from worker.engine.unet import eager


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """A machine with so many CPUs, of which others keep some busy."""

    def __init__(self, cpus: int, threads: int) -> None:
        torch.set_num_threads(threads)
        self.busy, self.now = 0.0, 0.0
        self.threads = Threads(busy_cpus=lambda: self.busy, cpus=cpus, clock=lambda: self.now)

    def used(self, busy: float) -> int:
        """The threads of a call while others keep so many CPUs busy, a second later."""
        self.busy, self.now = busy, self.now + 1.0
        with self.threads.spare():
            return torch.get_num_threads()


@pytest.mark.parametrize(
    ("cpus", "threads", "busy", "used"),
    [
        (2, 2, 0.0, 2),
        (2, 2, 0.2, 2),  # gateway and Valkey
        (2, 2, 1.0, 1),
        (2, 2, 2.0, 1),
        (4, 4, 1.0, 3),
        (4, 4, 2.0, 2),
        (8, 2, 5.0, 2),
        (8, 4, 6.0, 2),
        (1, 1, 1.0, 1),
    ],
)
def test_a_call_has_a_thread_for_each_cpu_that_is_free(
    cpus: int, threads: int, busy: float, used: int
) -> None:
    assert Machine(cpus, threads).used(busy) == used


def test_threads_come_back_when_the_neighbour_is_gone() -> None:
    machine = Machine(2, 2)
    assert [machine.used(busy) for busy in (0.0, 1.0, 1.0, 0.0)] == [2, 1, 1, 2]


def test_who_was_busy_at_the_start_takes_no_thread_of_the_first_call() -> None:
    machine = Machine(2, 2)
    assert machine.used(1.0) == 1
    machine.threads.take_all()
    machine.now += 0.2
    with machine.threads.spare():
        assert torch.get_num_threads() == 2
    assert machine.used(1.0) == 1, "who stays busy does"


def test_a_load_near_the_limit_does_not_make_it_waver() -> None:
    machine = Machine(2, 2)
    assert [machine.used(busy) for busy in (0.45, 0.55, 0.45, 0.4, 0.3)] == [2, 1, 1, 1, 2]


def test_the_load_is_not_looked_at_before_every_call() -> None:
    machine = Machine(2, 2)
    machine.used(0.0)
    machine.busy = 1.0
    with machine.threads.spare():
        assert torch.get_num_threads() == 2


def test_who_was_busy_while_nothing_was_drawn_takes_no_thread() -> None:
    machine = Machine(2, 2)
    machine.used(0.0)
    machine.now += 60.0
    assert machine.used(1.0) == 2, "that was in the pause"
    machine.now += 0.1
    with machine.threads.spare():
        assert torch.get_num_threads() == 1, "and this is now"


def test_who_is_busy_for_a_moment_takes_no_thread_of_a_long_call() -> None:
    """As a client that starts, asks and waits: it would double a call of ten seconds."""
    machine = Machine(2, 2)

    def call_s(takes_s: float) -> int:
        with machine.threads.spare():
            machine.now += takes_s
            return torch.get_num_threads()

    assert call_s(10.0) == 2
    machine.now += 5.0
    machine.busy = 1.0
    assert call_s(0.2) == 2, "the prompt is encoded"
    assert call_s(10.0) == 2, "and the first call begins"
    assert call_s(10.0) == 1, "who was busy all the time stays"


def test_all_threads_are_there_again_after_a_call_that_failed() -> None:
    machine = Machine(2, 2)
    machine.used(1.0)
    with pytest.raises(ValueError, match="broken"), machine.threads.spare():
        raise ValueError("broken")
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("how", "seen"), [("fast", {1}), ("strict", {2})])
def test_strict_calls_keep_the_threads_of_their_profile(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, how: str, seen: set[int]
) -> None:
    backend = Diffusion(device="cpu", dtype="float32", threads=2)
    backend.load("epsilon", folders["epsilon"])
    backend.threads = Threads(busy_cpus=lambda: 1.0, cpus=2, clock=iter(range(999)).__next__)
    threads = set()

    def spy(*inputs: object) -> torch.Tensor:
        threads.add(torch.get_num_threads())
        return eager.eager(*inputs)

    monkeypatch.setattr("worker.engine.unet.call.eager", spy)
    order = tiny.order(determinism=how, num_inference_steps=2)
    member, _ = backend.begin(order, backend.plan(order))
    while member.calls_left:
        backend.advance([member], member.key.bucket or member.rows)
    assert threads == seen
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("limit", "asked", "threads"), [(None, 0, 4), (2, 0, 2), (8, 0, 4), (2, 3, 3), (None, 1, 1)]
)
def test_a_container_has_no_more_threads_than_cpus_unless_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, asked: int, threads: int
) -> None:
    torch.set_num_threads(4)
    monkeypatch.setattr("latentry.cpus.time_limit", lambda: limit)
    choose_threads(asked)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("max 100000", None),
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("", None),
    ],
)
def test_a_containers_limit_is_what_its_cgroup_says(
    tmp_path: Path, said: str, limit: int | None
) -> None:
    assert time_limit(tmp_path) is None, "no cgroups"
    (tmp_path / "cpu.max").write_text(f"{said}\n")
    assert time_limit(tmp_path) == limit


def stat(path: Path, *cpus: tuple[int, int, int]) -> None:
    """User, nice and system ticks of each CPU."""
    lines = ["cpu  1 2 3 4 5 6 7 8 9 10"]
    for number, (user, nice, system) in zip(sorted(usable_cpus()), cpus, strict=False):
        lines.append(f"cpu{number} {user} {nice} {system} 900 5 0 0 7 0 0")
    path.write_text("\n".join([*lines, "intr 123"]))


def test_what_others_take_is_all_but_our_own_and_but_that_of_nice_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    now, own = [10.0], [3.0]
    stat(tmp_path / "stat", (1000, 0, 0))
    neighbours = Neighbours(stat=tmp_path / "stat", clock=lambda: now[0], own_s=lambda: own[0])
    now[0], own[0] = 12.0, 4.0
    stat(tmp_path / "stat", (1250, 700, 50))
    assert neighbours.busy_cpus() == pytest.approx((2.5 + 0.5 - 1.0) / 2)
    assert neighbours.busy_cpus() == 0.0, "no time has passed"


def test_where_the_system_does_not_tell_nobody_is_there(tmp_path: Path) -> None:
    now = iter(range(9))
    neighbours = Neighbours(stat=tmp_path / "none", clock=lambda: float(next(now)))
    assert neighbours.busy_cpus() == 0.0
