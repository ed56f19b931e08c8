"""The worker processes of one machine, and how many threads each of them gets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from latentry.cpus import usable_cpus, within_limit
from latentry.serve.apps import command
from latentry.serve.child import Child
from latentry.settings import PREFIX, Settings

# More than it needs to stop: it finishes its step and hands its jobs back.
GRACE_S: Final = 20.0
_SIBLINGS: Final = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def workers(settings: Settings, env: Mapping[str, str]) -> Iterator[Child]:
    """`worker`, or `worker-1`, `worker-2` and so on: each with its share of threads, and a port."""
    for number in range(settings.workers):
        name = "worker" if settings.workers == 1 else f"worker-{number + 1}"
        own = {f"{PREFIX}THREADS": str(threads(settings, within_limit(cores())))}
        if "worker_metrics_port" in settings.model_fields_set:  # or it takes the next free one
            own[f"{PREFIX}WORKER_METRICS_PORT"] = str(metrics_port(settings, number))
        yield Child(name, command("worker"), {**env, **own}, GRACE_S)


def threads(settings: Settings, cores: int) -> int:
    """Compute threads of each worker; 0 leaves it to torch, which takes all cores.

    Threads of OpenMP wait for each other by spinning: two processes with a thread on each core
    slow each other down many times.
    """
    if settings.threads or settings.workers == 1:
        return settings.threads
    return max(1, cores // settings.workers)


def metrics_port(settings: Settings, number: int) -> int:
    """The port of a worker's metrics: those after the first one's follow it; 0 is off."""
    return settings.worker_metrics_port and settings.worker_metrics_port + number


def cores() -> int:
    """Cores that this process may use; two hardware threads of one core count once."""
    return len({_siblings(cpu) for cpu in usable_cpus()})


def _siblings(cpu: int) -> str:
    try:
        return Path(_SIBLINGS.format(cpu)).read_text()
    except OSError:  # not Linux, or hidden in a container
        return str(cpu)
