"""Records ten strict pictures of the bundled model, for a test that their bits do not change.

`python -m tools.record_strict` rewrites the file. Do so only for a change that is meant to change
the pixels of strict pictures, and say so in the changelog.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from latentry.contracts import ResolvedRequest
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.profile import Profile
from worker.engine.loop import Done, Engine, Order
from worker.publishing.encoding import pixel_sha256

MODEL: Final = "shapes"
ROOT: Final = Path(__file__).parents[1]
FILE: Final = ROOT / "tests" / "worker" / "engine" / "diffusion" / "recorded.json"
# The parts of a profile that depend on the machine. Our code chooses the rest: it must not change.
OF_THE_MACHINE: Final = (
    "threads", "device", "torch", "diffusers", "transformers", "numpy", "libc",
)  # fmt: skip


def backend() -> Diffusion:
    """The bundled model on one thread: the number of threads is part of a profile."""
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    backend.load(MODEL, ROOT / "models" / MODEL)
    return backend


def environment(backend: Diffusion) -> dict[str, Any]:
    """The hardware and software that the bits of a strict picture depend on."""
    profile = asdict(Profile.of(MODEL, backend.at, rows=0))
    return {name: profile[name] for name in OF_THE_MACHINE}


def draw(backend: Diffusion, requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """The `pixel_sha256` of each request's picture; all are drawn together."""
    engine, drawn = Engine(backend), dict[str, str]()
    for number, fields in enumerate(requests):
        request = ResolvedRequest.model_validate({**fields, "model": MODEL})
        engine.submit(Order(str(number), 0, request, request.seed))
    while not engine.idle:
        for event in engine.step():
            if isinstance(event, Done):
                drawn[event.job] = pixel_sha256(event.pixels)
    return [drawn[str(number)] for number in range(len(requests))]


def main() -> None:
    """Draw the requests in the file again and write the new hashes."""
    recorded, engine = json.loads(FILE.read_text()), backend()
    requests = [one["request"] for one in recorded["pictures"]]
    pictures = [
        {"request": request, "pixel_sha256": sha256}
        for request, sha256 in zip(requests, draw(engine, requests), strict=True)
    ]
    new = {"environment": environment(engine), "pictures": pictures}
    FILE.write_text(json.dumps(new, indent=1) + "\n")


if __name__ == "__main__":
    main()
