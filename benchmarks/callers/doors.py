"""What other doors cost beside our own: the rate of each, and OpenAI's streams.

    python -m benchmarks.callers.doors [--rounds 8] [--seconds 3] [--only rates] [--out FILE]

*Rates*: the whole service with a simulated model, whose pictures cost next to nothing, asked by 16
callers through each door in turn. Answers have no pictures but their URLs (AUTOMATIC1111's have
nothing of them), except Hugging Face's, which are the pictures: that door is compared with callers
of the native one who read their pictures as well. *Streams*: the bundled model, asked for 64 images
at once, as streams with partial images and as whole answers in turn. *First partial*: one such
stream alone; how long after its start the first one came, by how long its step took.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.beside import turns
from benchmarks.contenders.checkout import HERE
from benchmarks.contenders.gateway import CHEAP, call
from benchmarks.contenders.service import running
from benchmarks.load.interval import Interval
from benchmarks.load.sockets import Load
from benchmarks.tables import table

say = partial(print, flush=True)

NATIVE, OPENAI, A1111 = "/v1/generations", "/v1/images/generations", "/sdapi/v1/txt2img"
REPLICATE, HUGGING_FACE = "/replicate/v1/predictions", "/hf/try"
READ: Final = "/v1/generations, pictures read"
_FLAT: Final = (NATIVE, OPENAI, A1111)  # a body's fields are the request's own
CALLERS: Final = 16
STREAMS: Final = 64
STEPS: Final = 60  # of an image that is streamed: its only partial image shows the half
_GOALS: Final = {
    "OpenAI's rate beside the native door's, 16 callers": "at least 0.95",
    "AUTOMATIC1111's rate beside the native door's, 16 callers": "at least 0.95",
    "Replicate's rate beside the native door's, 16 callers": "at least 0.95",
    "Hugging Face's rate beside the native door's with its pictures read": "at least 0.95",
    "64 streams beside 64 whole answers": "at least 0.95",
    "first partial image, by the time of its step": "at most 1.3",
}


@dataclass(frozen=True, slots=True)
class Stream:
    """When one stream's events came, in seconds of one clock."""

    running_s: float
    partial_s: float
    completed_s: float

    @property
    def lateness(self) -> float:
        """How long the partial image took, by how long its step did: half of all steps."""
        return (self.partial_s - self.running_s) / ((self.completed_s - self.running_s) / 2)


def request(path: str, **fields: Any) -> str:
    """The bytes of a request that is answered when its job has ended."""
    body = json.dumps({"prompt": "a red circle"} | fields if path in _FLAT else fields)
    prefer = "Prefer: wait=60\r\n" if path in (NATIVE, REPLICATE) else ""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{prefer}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"


async def stream(port: int, text: str) -> Stream:
    """Ask once, and read until the stream ends. Raises RuntimeError unless it has all events."""
    came: dict[str, float] = {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        writer.write(text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).encode())
        while line := await reader.readline():
            for name in (b": running", b"event: image_generation.", b"event: error"):
                if line.startswith(name):
                    came.setdefault(line.decode().strip(), time.perf_counter())
    finally:
        writer.close()
    try:
        return Stream(
            came[": running"],
            came["event: image_generation.partial_image"],
            came["event: image_generation.completed"],
        )
    except KeyError:
        raise RuntimeError(f"A stream had {sorted(came)}.") from None


async def whole(port: int, text: str) -> None:
    """Ask once, and read the whole answer. Raises RuntimeError unless it has one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        writer.write(text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).encode())
        answer = await reader.read()
    finally:
        writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"A request was answered {answer[:100]!r}.")


def requests() -> dict[str, str]:
    """The same picture of each door, by the path, and of the native one with the picture read."""
    size, steps = {"width": 128, "height": 128}, {"num_inference_steps": 2}
    native = request(NATIVE, **size, **steps)
    asked = {"prompt": "a red circle", **size, **steps}
    return {
        NATIVE: native,
        OPENAI: request(OPENAI, size="128x128", model="try", **steps),
        A1111: request(A1111, **size, steps=2, send_images=False),
        REPLICATE: request(REPLICATE, version="try", input=asked),
        HUGGING_FACE: request(HUGGING_FACE, inputs=asked.pop("prompt"), parameters=asked),
        READ: native,
    }


async def rates(rounds: int, for_s: float) -> list[list[float]]:
    """Each other door's rates by the native one's, round by round, in the order of `_GOALS`."""
    texts = requests()
    found: dict[str, list[float]] = {one: [] for one in (OPENAI, A1111, REPLICATE, HUGGING_FACE)}
    # Behind `https:`, Replicate's answers have URLs as the native ones have, not `data:` URLs.
    settings = {"LATENTRY_MODELS": CHEAP, "LATENTRY_PUBLIC_URL": "https://127.0.0.1"}
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), HERE, **settings) as service:
            port = urlsplit(service.url).port or 0
            for number in range(rounds):
                rate = {}
                for path in _turned(list(texts), number):
                    load = Load(port, CALLERS, [texts[path]], for_s, reads_pictures=path == READ)
                    rate[path] = await _rate(load)
                for path, ratios in found.items():
                    ratios.append(rate[path] / rate[READ if path == HUGGING_FACE else NATIVE])
                say(", ".join(f"{path} {rate[path]:.0f} a second" for path in texts))
    return [*found.values()]


async def _rate(load: Load) -> float:
    answer = await call(load)
    if {*answer["statuses"]} not in ({"200"}, {"201"}):
        raise RuntimeError(f"A request was answered {answer['statuses']}.")
    return float(answer["rate"])


def _turned(paths: list[str], number: int) -> list[str]:
    """Each comes first, second and last in turn."""
    at = number % len(paths)
    return [*paths[at:], *paths[:at]]


async def streams(rounds: int) -> list[list[float]]:
    """The rate of many streams by that of whole answers, and lone streams' latenesses."""
    fields = {"num_inference_steps": STEPS, "response_format": "b64_json"}
    streamed, plain = (
        request(OPENAI, stream=True, partial_images=1, **fields),
        request(OPENAI, **fields),
    )
    ratios, late = [], []
    with tempfile.TemporaryDirectory() as folder:
        # Whatever else the machine does, no request is refused for the time that it would wait.
        async with running(Path(folder), HERE, LATENTRY_MAX_QUEUE_WAIT_S="600") as service:
            port = urlsplit(service.url).port or 0
            await asyncio.gather(*(whole(port, plain) for _ in range(STREAMS)))  # warms up
            for order in turns(stream, whole, rounds):
                took_s = {}
                for ask in order:
                    text, began_s = streamed if ask is stream else plain, time.perf_counter()
                    await asyncio.gather(*(ask(port, text) for _ in range(STREAMS)))
                    took_s[ask] = time.perf_counter() - began_s
                ratios.append(took_s[whole] / took_s[stream])
                late.append((await stream(port, streamed)).lateness)
                say(f"64 at once: streams {ratios[-1]:.3f}; first partial {late[-1]:.2f}")
    return [ratios, late]


def report(found: dict[str, Any]) -> list[str]:
    """The table, in lines."""
    rows = []
    for what, ratios in found["ratios"].items():
        if "partial" in what:
            figure = f"{statistics.median(ratios):.2f} ({max(ratios):.2f} at most)"
        else:
            interval = Interval.of(ratios)
            figure = f"{interval.ratio:.3f} ({interval.low:.3f} to {interval.high:.3f})"
        rows.append([what, figure, _GOALS[what]])
    return [
        f"machine: {found['machine']}; {found['rounds']} rounds",
        "",
        *table(["doors", "ratio, 95 % interval", "goal"], rows),
    ]


async def measure(rounds: int, for_s: float, only: str | None) -> dict[str, list[float]]:
    """All ratios, or only those of one part, round by round."""
    names = [*_GOALS]
    found = {} if only == "streams" else dict(zip(names, await rates(rounds, for_s), strict=False))
    if only != "rates":
        found |= dict(zip(names[-2:], await streams(rounds), strict=True))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; with `--out`, write the JSON that it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each window of the rate")
    parser.add_argument("--only", choices=("rates", "streams"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    found = {
        "kind": "doors",
        "machine": f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} beforehand",
        "rounds": options.rounds,
        "ratios": asyncio.run(measure(options.rounds, options.seconds, options.only)),
    }
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(["", *report(found)]))


if __name__ == "__main__":
    main()
