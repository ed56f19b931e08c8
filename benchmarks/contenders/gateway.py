"""A gateway process with its own Valkey, started as `latentry serve` starts them, under a load."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.service import POLL_S, READY_S, running
from benchmarks.load.sockets import Load, command
from latentry.contracts import ModelCard
from latentry.contracts.catalogue.models import Defaults, Limits, Pace
from latentry.contracts.samplers import Sampler
from latentry.ledger import Ledger, commands
from latentry.serve.child import TETHER
from latentry.serve.ports import free_port
from latentry.serve.valkey import Valkey
from latentry.settings import Settings

POST, GET, WAIT = "POST /v1/generations", "GET by job", "POST, Prefer: wait"
CHEAP: Final = "try=simulated:call_ms=1:row_ms=0.01:picture_ms=0.1"
_BODY: Final = {"prompt": "a red circle", "width": 128, "height": 128, "num_inference_steps": 2}
_READ: Final = 200  # jobs that are read in turn
_CARD: Final = ModelCard(
    id="try",
    limits=Limits(max_side=512),
    defaults=Defaults(
        width=128, height=128, num_inference_steps=2, guidance_scale=2, sampler=Sampler.DDIM
    ),
    samplers=[Sampler.DDIM],
    created=1,
    pace=Pace(step_megapixel_s=0.001, images_at_once=16),
)


@dataclass(frozen=True, slots=True)
class Side:
    """One running gateway: its port, and the processes whose time is measured, by name."""

    port: int
    env: Mapping[str, str]
    pids: Mapping[str, int]

    def empty(self) -> None:
        """Leave one model, whose worker takes no job, and no jobs; where the ledger is ours."""
        if self.env:
            with closing(Ledger.open(Settings.from_env(self.env))) as ledger:
                ledger.client.flushall()
                ledger.run(commands.register_model(_CARD))
                ledger.run(commands.heartbeat("nobody", [_CARD.id], ttl_s=3600))

    def requests(self, kind: str) -> list[str]:
        """The bytes that callers send."""
        if kind == GET:
            with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as http:
                ids = [http.post("/v1/generations", json=_BODY).json()["id"] for _ in range(_READ)]
            return [_head(f"GET /v1/generations/{id}") + "\r\n" for id in ids]
        body = json.dumps(_BODY)
        prefer = "Prefer: wait=60\r\n" if kind == WAIT else ""
        fields = f"{prefer}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return [_head("POST /v1/generations") + fields + body]


def _head(line: str) -> str:
    agent = "User-Agent: python-httpx/0.28.1\r\nAccept-Encoding: gzip, deflate\r\n"
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{agent}"


@asynccontextmanager
async def _process(*words: str, **how: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process on a tether, so that it ends with this one however that ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", TETHER, "bench", "10", *words,
        stdin=asyncio.subprocess.PIPE, start_new_session=True, **how,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def alone(checkout: Checkout, folder: Path) -> AsyncIterator[Side]:
    """A gateway and its Valkey; a model that waits for ever is registered by `empty`."""
    valkey, port = Valkey.new(folder / "valkey"), free_port("127.0.0.1")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
    env = plain | {
        "LATENTRY_DATA_DIR": str(folder),
        "LATENTRY_REDIS_URL": valkey.url,
        "LATENTRY_PORT": str(port),
        "LATENTRY_METRICS_PORT": "0",
        "LATENTRY_MAX_QUEUED": "100000000",
        "LATENTRY_MAX_QUEUE_WAIT_S": "100000000",
    }
    child = valkey.child(env)
    with (folder / "log").open("w") as log:
        streams = {"stdout": log, "stderr": log}
        async with _process(*child.command, **streams) as ledger:
            await _until(valkey.answers)
            words = (checkout.python, "-m", "service")
            async with _process(*words, cwd=checkout.root, env=env, **streams) as gateway:
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}", trust_env=False
                ) as http:
                    await _until(partial(_lives, http))
                pids = {"gateway": _child_of(gateway.pid), "valkey": _child_of(ledger.pid)}
                yield Side(port, env, pids)


@asynccontextmanager
async def whole(checkout: Checkout, folder: Path) -> AsyncIterator[Side]:
    """A whole service with a simulated model."""
    async with running(folder, checkout, LATENTRY_MODELS=CHEAP, LATENTRY_DEVICE="cpu") as service:
        yield Side(urlsplit(service.url).port or 0, {}, {})


async def _until(is_ready: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            if await is_ready():
                return
            await asyncio.sleep(POLL_S)


async def _lives(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/livez")).is_success
    except httpx.TransportError:
        return False


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _cpu_s(pid: int) -> float:
    """Processor seconds that a process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def call(load: Load) -> dict[str, Any]:
    """What came of one load, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.load.sockets", cwd=HERE.root,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate(command(load).encode())
    found: dict[str, Any] = json.loads(said)
    return found


async def window(side: Side, kind: str, callers: int, for_s: float) -> dict[str, Any]:
    """One measurement, and the processor milliseconds that each process used for a request."""
    side.empty()
    load = Load(side.port, callers, side.requests(kind), for_s)
    before = {name: _cpu_s(pid) for name, pid in side.pids.items()}
    found = await call(load)
    answers = found["rate"] * (for_s + load.warm_s)  # the warm-up's too, about
    used = {name: (_cpu_s(pid) - before[name]) * 1e3 / answers for name, pid in side.pids.items()}
    wrong = {status for status in found["statuses"] if status not in ("200", "202")}
    if wrong:
        raise RuntimeError(f"{kind} was answered {found['statuses']}.")
    return found | {"used_ms": used | {"callers": found["cpu_ms"]}}


async def ceiling(callers: int, for_s: float) -> float:
    """Requests a second against a server that only answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.load.sockets", "answer", cwd=HERE.root,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    rate = (await call(Load(port, callers, ["GET / HTTP/1.1\r\n\r\n"], for_s)))["rate"]
    process.stdin.close()
    await process.wait()
    return float(rate)
