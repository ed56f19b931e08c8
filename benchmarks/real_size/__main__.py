"""Loading and drawing with models of real size, beside other programs on the same files.

    python -m benchmarks.real_size [--size sd15] [--dtypes float32 bfloat16] [--source folder]
        [--contenders latentry stock sd.cpp] [--beside CHECKOUT] [--pictures 3] [--rounds 1]
        [--cache FOLDER] [--out FILE]

Writes a model with random weights (SD 1.5: 2.13 GB in fp16, SDXL 6.94 GB) into the cache folder,
as a folder and as a single file. Then each contender is started anew in every round and draws
pictures of 4 steps with guidance: latentry's whole service, the same of another checkout
(`before`), the stock pipeline (with accelerate, as diffusers advises: `pip install -e .[bench]`),
and stable-diffusion.cpp if cyllama's wheel is there. A file that exists is added to; write its
medians into the page with `python -m benchmarks.report FILE --into docs/performance.md`.
"""

import argparse
import asyncio
import datetime
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.real_size import contenders
from benchmarks.real_size.figures import SIDES, Figures
from benchmarks.real_size.model import file_of, folder_of
from benchmarks.real_size.report import real_size


async def measure(options: argparse.Namespace, wanted: Figures) -> Figures:
    """One start of one contender."""
    folder, pictures = folder_of(wanted.size, options.cache), options.pictures
    source = folder if wanted.source == "folder" else file_of(wanted.size, options.cache)
    match wanted.contender:
        case "stock":
            return await contenders.stock(wanted, folder, source, pictures)
        case "sd.cpp":
            return await contenders.stable_diffusion_cpp(wanted, source)
        case "before":
            return await contenders.service(wanted, source, Checkout.at(options.beside), pictures)
    return await contenders.service(wanted, source, HERE, pictures)


def plan(options: argparse.Namespace) -> Iterator[Figures]:
    """The starts in their order: contenders take turns."""
    names = list(options.contenders) + (["before"] if options.beside else [])
    for number in range(options.rounds):
        for dtype in options.dtypes:
            for name in names if number % 2 == 0 else names[::-1]:
                if name != "sd.cpp":
                    yield Figures(name, options.size, dtype, options.source)
        if "sd.cpp" in names and find_spec("cyllama"):
            yield Figures("sd.cpp", options.size, "float16", "file")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all; what the result file has already comes first."""
    starts: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        starts = json.loads(options.out.read_text())["starts"]
    for wanted in plan(options):
        found = asyncio.run(measure(options, wanted))
        print(found, flush=True)
        starts.append(asdict(found))
    return {
        "kind": "real_size",
        "at": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} CPUs, {HERE.facts()}",
        "starts": starts,
    }


def main() -> None:
    """Print the table; with `--out`, write the JSON that it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    cache = Path(tempfile.gettempdir()) / "latentry-real-size"
    parser.add_argument("--size", choices=SIDES, default="sd15")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--source", choices=["folder", "file"], default="folder")
    parser.add_argument("--contenders", nargs="*", default=["latentry", "stock", "sd.cpp"])
    parser.add_argument("--beside", type=Path, help="the folder of another checkout")
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=cache)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options.cache.mkdir(parents=True, exist_ok=True)
    found = run(options)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(real_size(found)))


if __name__ == "__main__":
    main()
