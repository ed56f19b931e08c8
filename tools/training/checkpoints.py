"""Saved training state, so that a stopped stage can resume."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

RUNS = Path(".latentry/train")


def save(name: str, state: dict[str, Any]) -> None:
    """Write a stage's state atomically."""
    RUNS.mkdir(parents=True, exist_ok=True)
    partial = RUNS / f"{name}.partial"
    torch.save(state, partial)
    partial.replace(RUNS / f"{name}.pt")


def load(name: str) -> dict[str, Any] | None:
    """Read a stage's state, or None if it has none."""
    path = RUNS / f"{name}.pt"
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True, mmap=True)
    return state


def require(name: str) -> dict[str, Any]:
    """Read a stage's state. Raises FileNotFoundError without one."""
    state = load(name)
    if state is None:
        raise FileNotFoundError(f"no checkpoint of {name}: run its stage of tools.train first")
    return state


def log(stage: str, **fields: float | int | str) -> None:
    """Append one line of progress to the stage's log and show it."""
    RUNS.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"at": time.strftime("%H:%M:%S"), "stage": stage, **fields})
    with (RUNS / "progress.jsonl").open("a") as stream:
        stream.write(line + "\n")
    print(line, flush=True)
