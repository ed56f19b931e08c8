"""FastAPI around the stock pipeline, one request at a time.

python -m benchmarks.contenders.locked PORT
"""

import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from fastapi import FastAPI, Response

from benchmarks.contenders.stock import Stock
from benchmarks.load.traces import wish_of


def png(image: Any) -> bytes:
    """A PIL picture as PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def app() -> FastAPI:
    """The server. Its one thread is the lock; OpenMP pools of several would compete for cores."""
    compute = ThreadPoolExecutor(1)
    stock = compute.submit(Stock).result()
    server = FastAPI()

    @server.post("/predict")
    async def predict(body: dict[str, Any]) -> Response:
        loop = asyncio.get_running_loop()
        [image] = await loop.run_in_executor(compute, stock.draw, [wish_of(body)])
        return Response(png(image), media_type="image/png")

    return server


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
