"""Many calls at once, in threads or tasks; their results as they come."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from latentry.errors import InvalidRequest

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    work: Callable[[T], R], items: Sequence[T], concurrency: int
) -> Iterator[tuple[int, R]]:
    """The number and the result of each item, as they come. Raises what the first failed with.

    When it is closed, no further item begins; daemon threads finish those under way, so that
    neither Ctrl-C nor the program's end waits for them.
    """
    _check(concurrency)
    results = SimpleQueue[tuple[int, Future[R]]]()
    todo, lock, closed = iter(enumerate(items)), threading.Lock(), threading.Event()

    def run() -> None:
        while True:
            with lock:
                found = None if closed.is_set() else next(todo, None)
            if found is None:
                return
            number, item = found
            result = Future[R]()
            try:
                result.set_result(work(item))
            except BaseException as error:  # raised where the results are read
                closed.set()
                result.set_exception(error)
            results.put((number, result))

    for _ in range(min(concurrency, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for _ in items:
            number, result = results.get()
            yield number, result.result()
    finally:
        closed.set()


async def in_tasks(
    work: Callable[[T], Awaitable[R]], items: Sequence[T], concurrency: int
) -> AsyncGenerator[tuple[int, R]]:
    """The same in tasks, which are canceled when it is closed."""
    _check(concurrency)
    results = asyncio.Queue[tuple[int, asyncio.Future[R]]]()
    todo = iter(enumerate(items))

    async def run() -> None:
        for number, item in todo:  # one iterator for all tasks
            call = asyncio.ensure_future(work(item))
            try:
                await asyncio.wait([call])
            finally:
                call.cancel()
            results.put_nowait((number, call))
            if call.exception():
                return

    tasks = [asyncio.create_task(run()) for _ in range(min(concurrency, len(items)))]
    try:
        for _ in items:
            number, call = await results.get()
            yield number, await call
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check(concurrency: int) -> None:
    if concurrency < 1:
        raise InvalidRequest("concurrency: It must be 1 or more.")
