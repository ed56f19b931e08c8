"""A bucket that takes a while for each object: `python -m benchmarks.callers.slow_store MS`.

It answers PUT requests of S3 and keeps nothing. It writes its port, and serves until its standard
input ends.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from benchmarks.contenders.checkout import HERE

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TAKEN: Final = b'HTTP/1.1 200 OK\r\nETag: "taken"\r\nContent-Length: 0\r\n\r\n'


@asynccontextmanager
async def slow_store(delay_ms: float) -> AsyncIterator[dict[str, str]]:
    """One in a process of its own: the settings of a service that uses it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.callers.slow_store", str(delay_ms), cwd=HERE.root,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield {
            "LATENTRY_STORAGE_URL": "s3://bench",
            "LATENTRY_S3_ENDPOINT": f"http://127.0.0.1:{int(await process.stdout.readline())}",
            "LATENTRY_S3_ACCESS_KEY": "bench",
            "LATENTRY_S3_SECRET_KEY": "bench",
        }
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(delay_s: float) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                await asyncio.sleep(delay_s)
                writer.write(_TAKEN)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]) / 1e3))
