"""The whole service as a contender: real gateway, worker, Valkey and files; clients wait."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Answer
from benchmarks.load.traces import Mix, Wish
from latentry.client import AsyncClient
from latentry.serve.demo import demo_env
from latentry.serve.ready import local_client, ready
from latentry.serve.stack import running
from latentry.settings import Settings

LOOK_S: Final = 0.2
STUDY_S: Final = 120.0
COMPILE_S: Final = 600.0
PAUSE_S: Final = 3.0  # the compiler gets what nobody else wants


class Service:
    """What `latentry serve` starts, asked through the SDK with `Prefer: wait`."""

    def __init__(self, client: AsyncClient, data_dir: Path, name: str) -> None:
        self.name = name
        self._client = client
        self._packages = data_dir / "compiled"

    async def draw(self, wish: Wish) -> Answer:
        """See Contender."""
        await self._client.generate(
            wish.prompt,
            seed=wish.seed,
            num_inference_steps=wish.num_inference_steps,
            guidance_scale=wish.guidance_scale,
            sampler=wish.sampler,
            width=wish.side,
            height=wish.side,
            determinism=wish.determinism,
        )
        return {}

    async def clear(self) -> Answer:
        """See Contender."""
        while running := await self._running():
            await asyncio.gather(*(self._client.cancel(job) for job in running))
        return {}

    async def compile(self, side: int) -> None:
        """Ask for pictures of this size until its UNet is compiled."""
        [some], [one] = Mix((50,), sides=(side,)).first(1), Mix((1,), sides=(side,)).first(1)
        for _ in range(5):  # 250 calls
            await self.draw(some)
        before = self._compiled
        async with asyncio.timeout(COMPILE_S):
            while self._compiled == before:
                await asyncio.sleep(PAUSE_S)
                await self.draw(one)

    @property
    def _compiled(self) -> int:
        return sum(path.suffix != ".draft" for path in self._packages.glob("*"))

    async def _running(self) -> list[str]:
        jobs = (await self._client.list(limit=100)).data
        return [job.id for job in jobs if not job.status.is_terminal]


@asynccontextmanager
async def service(name: str = "service", **settings: str) -> AsyncIterator[Service]:
    """Start everything in a folder that goes away; ready when a worker knows what calls cost.

    It measures them as soon as it is idle: beside others' work both would be measured badly.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        data = {"LATENTRY_DATA_DIR": folder}
        env = demo_env({"LATENTRY_COMPILE": "off"} | os.environ | data | settings)
        known = Settings.from_env(env)
        async with (
            running(known, env, output=log, say=lambda _: None) as stack,
            local_client(stack) as client,
        ):
            await ready(stack)
            async with asyncio.timeout(STUDY_S):
                while not list((known.data_dir / "costs").glob("*.json")):
                    stack.check()
                    await asyncio.sleep(LOOK_S)
            yield Service(client, known.data_dir, name)


@asynccontextmanager
async def compiled(sides: Iterable[int]) -> AsyncIterator[Service]:
    """With `LATENTRY_COMPILE=on`, once pictures of these sizes were drawn often."""
    async with service("compiled", LATENTRY_COMPILE="on") as contender:
        for side in sides:
            await contender.compile(side)
        yield contender
