"""Trains the motion module of the bundled model, writes it and measures it.

`python -m tools.motion` trains, from where it was stopped, and writes `models/shapes/motion_adapter`;
with `--measure` it measures the last checkpoint, and writes nothing.
"""

from __future__ import annotations

import argparse

import torch
from torch.multiprocessing.spawn import spawn
from transformers import CLIPTextModel, CLIPTokenizer

from tools.training import checkpoints, motion
from tools.training.export import FOLDER


def train(rank: int, workers: int, steps: int) -> None:
    """One of the training processes, each on a thread of its own (see `tools.train`)."""
    torch.set_num_threads(1)
    rendezvous = checkpoints.RUNS / "rendezvous-motion"
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous.resolve()}", rank=rank, world_size=workers
    )
    words = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer")
    motion.train(motion.BatchSource(motion.load_part(CLIPTextModel, "text_encoder"), words), steps)
    torch.distributed.destroy_process_group()


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=motion.STEPS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.workers)
    motion.build_bank()
    (checkpoints.RUNS / "rendezvous-motion").unlink(missing_ok=True)
    spawn(train, (options.workers, options.steps), nprocs=options.workers)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
