"""Each contender, started once: what it took until it could draw, and for its pictures."""

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.service import running
from benchmarks.real_size.figures import (
    GUIDANCE,
    IDLE_S,
    PROMPT,
    SAMPLER,
    SIDES,
    STEPS,
    Figures,
    largest_descendant,
    peak_gb,
)
from latentry.client import AsyncClient

# What the worker imports before it opens a model.
_IMPORTS: Final = "import worker.app, worker.engine.diffusion.diffusion"

# Its program, but without a callback for log lines: one of version 0.2.18 is called by threads that
# wait for the interpreter's lock while its holder waits for them.
_CYLLAMA: Final = """
import cyllama.sd.__main__ as cli
cli.setup_logging = lambda _: None
raise SystemExit(cli.main())
"""


async def service(figures: Figures, source: Path, checkout: Checkout, pictures: int) -> Figures:
    """`latentry serve` of a checkout, in an empty data folder; `auto` keeps its own precision."""
    found: dict[str, Any] = {}
    if checkout is HERE:
        begin = time.monotonic()
        await _output("-c", _IMPORTS)
        found["imports_s"] = time.monotonic() - begin
    settings = {"LATENTRY_MODELS": f"m={source}", "LATENTRY_DTYPE": figures.dtype}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        async with (
            running(Path(folder), checkout, **settings) as served,
            AsyncClient(served.url, transport=httpx.AsyncHTTPTransport()) as client,
        ):
            found["loaded_s"] = time.monotonic() - begin
            worker = largest_descendant(served.process.pid)
            found["loaded_gb"] = peak_gb(worker)
            for name in ("first_s", "second_s", "rested_s")[:pictures]:
                if name == "rested_s":
                    await asyncio.sleep(IDLE_S)
                begin = time.monotonic()
                await client.generate(
                    PROMPT,
                    seed=0,
                    num_inference_steps=STEPS,
                    guidance_scale=GUIDANCE,
                    sampler=SAMPLER,
                    width=SIDES[figures.size],
                    height=SIDES[figures.size],
                )
                found[name] = time.monotonic() - begin
            found["peak_gb"] = peak_gb(worker)
    return replace(figures, **found)


async def stock(figures: Figures, folder: Path, source: Path, pictures: int) -> Figures:
    """The stock pipeline in a process of its own."""
    output = await _output(
        "-m", "benchmarks.real_size.stock", figures.size, figures.dtype, str(folder),
        str(source), str(pictures),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return replace(figures, **found)


async def stable_diffusion_cpp(figures: Figures, file: Path) -> Figures:
    """stable-diffusion.cpp, which loads the file and draws one picture; it keeps the weights' fp16.

    From the wheel of cyllama. Raises RuntimeError if that is not there.
    """
    side = str(SIDES[figures.size])
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        output = await _output(
            "-m", "benchmarks.real_size.peak", "-c", _CYLLAMA, "txt2img", "--model", str(file),
            "--prompt", PROMPT, "--steps", str(STEPS), "--cfg-scale", str(GUIDANCE), "--seed", "0",
            "--width", side, "--height", side, "--output", f"{folder}/picture.png",
        )  # fmt: skip
        took_s = time.monotonic() - begin
        if not (Path(folder) / "picture.png").exists():
            raise RuntimeError(output)
    return replace(figures, first_s=took_s, peak_gb=float(output.splitlines()[-1]))


async def _output(*arguments: str) -> str:
    """What a Python process of this checkout prints. Raises RuntimeError if it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=HERE.root, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}.")
    return output.decode()
