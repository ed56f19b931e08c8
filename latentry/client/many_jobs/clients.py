"""Many jobs with one call, for both clients."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Unpack

from latentry.client import api_calls, flows
from latentry.client.api_calls import AnyJob
from latentry.client.fields import Fields
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.many_jobs.as_done import in_tasks, in_threads
from latentry.client.many_jobs.asked import (
    CONCURRENCY,
    Asked,
    Deadline,
    Done,
    Result,
    Submitted,
    ids_of,
    requests_of,
    requests_read,
)
from latentry.client.many_jobs.batches import submitted
from latentry.client.results import Job
from latentry.contracts import GenerationRequest
from latentry.errors import LatentryError


class ManyJobs(Connection):
    """Many jobs at once."""

    def map(
        self,
        requests: Iterable[Asked],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        done: Done | None = None,
        **common: Unpack[Fields],
    ) -> Sequence[Result]:
        """Generate many requests, `concurrency` at a time; their results in the same order.

        A request is a prompt or a dict of fields, to which `common` are added. A result is the
        succeeded job, or the LatentryError that there is instead; `done` is called with each as it
        comes. `timeout_s` bounds each wait. A repeat of them all with the same `idempotency_key`
        gets the same jobs. Raises InvalidRequest or InvalidIdempotencyKey before any is sent.
        """
        wanted = list(enumerate(requests_of(requests, common)))
        limit_s = flows.bound_s(timeout_s)
        key = api_calls.numbered_key(idempotency_key, len(wanted))

        def attempt(one: tuple[int, GenerationRequest]) -> Result:
            number, request = one
            own = f"{key}:{number}"
            try:
                return self._run(flows.generated(request, own, limit_s, self._retries))
            except LatentryError as error:
                return error

        results = dict[int, Result]()
        for number, result in in_threads(attempt, wanted, concurrency):
            results[number] = result
            if done:
                done(number, result)
        return [results[number] for number in range(len(wanted))]

    def submit_all(
        self,
        requests: Iterable[Asked],
        *,
        idempotency_key: str | None = None,
        **common: Unpack[Fields],
    ) -> Sequence[Submitted]:
        """Submit many requests, 64 in one call; what became of each, in the same order.

        A request is as `map` takes it. What becomes of one is the accepted job, or the
        LatentryError that there is instead. A repeat of them all with the same `idempotency_key`
        returns the same jobs, and tries again what was refused. Raises InvalidRequest or
        InvalidIdempotencyKey before any is sent.
        """
        wanted = requests_of(requests, common)
        return self._run(submitted(wanted, idempotency_key, self._retries))

    def as_completed(
        self,
        jobs: Iterable[AnyJob],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float | None = None,
    ) -> Iterator[Job]:
        """Each of these jobs at its end, successful or not, as they come.

        `concurrency` of them are waited for at a time, the first ones first; `timeout_s` bounds the
        whole. Raises what `wait` does.
        """
        deadline = Deadline.after(timeout_s)

        def wait(job_id: str) -> Job:
            return self._run(flows.ended(job_id, deadline.left_s, self._retries))

        for _, job in in_threads(wait, ids_of(jobs), concurrency):
            yield job

    def wait_all(
        self,
        jobs: Iterable[AnyJob],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float | None = None,
    ) -> Sequence[Job]:
        """All these jobs at their ends, in the same order. Raises what `wait` does."""
        ids = ids_of(jobs)
        ended = {
            job.id: job
            for job in self.as_completed(ids, concurrency=concurrency, timeout_s=timeout_s)
        }
        return [ended[job_id] for job_id in ids]


class AsyncManyJobs(AsyncConnection):
    """Many jobs at once."""

    async def map(
        self,
        requests: Iterable[Asked],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        done: Done | None = None,
        **common: Unpack[Fields],
    ) -> Sequence[Result]:
        """Generate many requests, `concurrency` at a time; their results in the same order.

        A request is a prompt or a dict of fields, to which `common` are added. A result is the
        succeeded job, or the LatentryError that there is instead; `done` is called with each as it
        comes. `timeout_s` bounds each wait. A repeat of them all with the same `idempotency_key`
        gets the same jobs. Raises InvalidRequest or InvalidIdempotencyKey before any is sent.
        """
        wanted = list(enumerate(requests_of(*await requests_read(requests, common))))
        limit_s = flows.bound_s(timeout_s)
        key = api_calls.numbered_key(idempotency_key, len(wanted))

        async def attempt(one: tuple[int, GenerationRequest]) -> Result:
            number, request = one
            own = f"{key}:{number}"
            try:
                return await self._run(flows.generated(request, own, limit_s, self._retries))
            except LatentryError as error:
                return error

        results = dict[int, Result]()
        async with aclosing(in_tasks(attempt, wanted, concurrency)) as outcomes:
            async for number, result in outcomes:
                results[number] = result
                if done:
                    done(number, result)
        return [results[number] for number in range(len(wanted))]

    async def submit_all(
        self,
        requests: Iterable[Asked],
        *,
        idempotency_key: str | None = None,
        **common: Unpack[Fields],
    ) -> Sequence[Submitted]:
        """Submit many requests, 64 in one call; what became of each, in the same order.

        A request is as `map` takes it. What becomes of one is the accepted job, or the
        LatentryError that there is instead. A repeat of them all with the same `idempotency_key`
        returns the same jobs, and tries again what was refused. Raises InvalidRequest or
        InvalidIdempotencyKey before any is sent.
        """
        wanted = requests_of(*await requests_read(requests, common))
        return await self._run(submitted(wanted, idempotency_key, self._retries))

    async def as_completed(
        self,
        jobs: Iterable[AnyJob],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Job]:
        """Each of these jobs at its end, successful or not, as they come.

        `concurrency` of them are waited for at a time, the first ones first; `timeout_s` bounds the
        whole. Raises what `wait` does.
        """
        deadline = Deadline.after(timeout_s)

        async def wait(job_id: str) -> Job:
            return await self._run(flows.ended(job_id, deadline.left_s, self._retries))

        async with aclosing(in_tasks(wait, ids_of(jobs), concurrency)) as ended:
            async for _, job in ended:
                yield job

    async def wait_all(
        self,
        jobs: Iterable[AnyJob],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float | None = None,
    ) -> Sequence[Job]:
        """All these jobs at their ends, in the same order. Raises what `wait` does."""
        ids = ids_of(jobs)
        ended = {
            job.id: job
            async for job in self.as_completed(ids, concurrency=concurrency, timeout_s=timeout_s)
        }
        return [ended[job_id] for job_id in ids]
