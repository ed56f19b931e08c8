"""What comes late is waited for, and said to be late."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def with_pauses(source: AsyncGenerator[T], after_s: float) -> AsyncGenerator[T | None]:
    """What the source gives, and None whenever it has given nothing for so long.

    The source is never canceled: whoever stops reading must end it, and is waited for here.
    """
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(source))
            done, _ = await asyncio.wait((coming,), timeout=after_s)
            if not done:
                yield None
                continue
            try:
                found = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming = None
            yield found
    finally:
        if coming is not None:
            await asyncio.wait((coming,))
            coming.exception()
        await source.aclose()


async def _next(source: AsyncGenerator[T]) -> T:
    return await anext(source)
