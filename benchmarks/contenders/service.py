"""The whole service as a contender: real gateway, worker, Valkey and files, asked over HTTP."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.contender import Answer
from benchmarks.load.traces import Mix, Wish
from latentry.client import AsyncClient
from latentry.serve.child import STOP, TETHER
from latentry.serve.demo import demo_env
from latentry.serve.ports import free_port

HOST: Final = "127.0.0.1"
POLL_S: Final = 0.05  # of what is timed
LOOK_S: Final = 0.2
READY_S: Final = 300.0
GRACE_S: Final = 30.0
STUDY_S: Final = 120.0
COMPILE_S: Final = 600.0
PAUSE_S: Final = 3.0  # drawing more often would leave the compiler no processor time


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


@dataclass(frozen=True, slots=True)
class Running:
    """A service's address, its process, and the file that has its output."""

    url: str
    process: asyncio.subprocess.Process
    log: Path

    def check(self) -> None:
        """Raises RuntimeError with its last lines if the service has ended."""
        if self.process.returncode is not None:
            raise RuntimeError("\n".join(self.log.read_text().splitlines()[-20:]))

    async def stop(self) -> None:
        """Tell it to stop, and wait until it has."""
        assert self.process.stdin is not None
        self.process.stdin.write(STOP)
        await self.process.wait()


@asynccontextmanager
async def running(data_dir: Path, checkout: Checkout, **settings: str) -> AsyncIterator[Running]:
    """`latentry serve` as soon as a worker can draw; when the block ends, it has stopped.

    `settings`: by their variables, before those of this process.
    """
    port, log = free_port(HOST), data_dir / "log"
    chosen = {"LATENTRY_COMPILE": "off"} | os.environ | settings
    places = {"LATENTRY_DATA_DIR": str(data_dir), "LATENTRY_PORT": str(port)}
    with log.open("w") as output:
        # On a tether, so that it ends with this process however that ends.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", TETHER, "service", str(GRACE_S),
            checkout.python, "-m", "latentry", "serve",
            cwd=checkout.root, env=demo_env(chosen) | settings | places,
            stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        served = Running(f"http://{HOST}:{port}", process, log)
        try:
            async with (
                asyncio.timeout(READY_S),
                httpx.AsyncClient(base_url=served.url, trust_env=False) as http,
            ):
                while not await _can_draw(http):
                    served.check()
                    await asyncio.sleep(POLL_S)
            yield served
        finally:
            await served.stop()


@asynccontextmanager
async def service(
    name: str = "service", checkout: Checkout = HERE, **settings: str
) -> AsyncIterator[Service]:
    """A service in a temporary folder, once its worker has measured what UNet calls cost.

    It does so as soon as it is idle; beside another contender's work it would measure wrongly.
    """
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        async with (
            running(data_dir, checkout, **settings) as served,
            AsyncClient(served.url, transport=httpx.AsyncHTTPTransport()) as client,
        ):
            contender = Service(client, data_dir, name)
            [some] = Mix((10,)).first(1)
            await contender.draw(some)  # it learns from that what it may measure
            async with asyncio.timeout(STUDY_S):
                while not list((data_dir / "costs").glob("*.json")):
                    served.check()
                    await asyncio.sleep(LOOK_S)
            yield contender


@asynccontextmanager
async def compiled(
    sides: Iterable[int], name: str = "compiled", checkout: Checkout = HERE, **settings: str
) -> AsyncIterator[Service]:
    """With `LATENTRY_COMPILE=on`, once pictures of these sizes were drawn often."""
    async with service(name, checkout, **(settings | {"LATENTRY_COMPILE": "on"})) as contender:
        for side in sides:
            await contender.compile(side)
        yield contender


async def _can_draw(http: httpx.AsyncClient) -> bool:
    try:
        answer = await http.get("/readyz")
    except httpx.TransportError:
        return False
    return answer.is_success and bool(answer.json().get("can_draw"))
