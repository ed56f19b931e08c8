"""Seconds of a UNet call and of a VAE decode, by size and by the way it is run."""

import atexit
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from worker.engine.models.blueprint import Blueprint
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.unet.compile import compile_unet
from worker.engine.unet.package import BareUNet, load
from worker.engine.unet.shape import MAX_ROWS, Shape
from worker.engine.vae.decode import decode

REPEATS: Final = 9
TOKENS: Final = 77
IMAGES: Final = (1, 2, 4, 8)
COMPILED_ROWS: Final = (2, 8, 16, 32)  # each is compiled anew, for minutes


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A model to measure: about `box_s` seconds for each part, and these counts of rows."""

    plan: Blueprint
    model: LoadedModel
    networks: Mapping[str, nn.Module]
    box_s: float
    rows: Sequence[int]

    def inputs(self, rows: int) -> tuple[Any, ...]:
        """Arguments of a UNet call: latents, timesteps, embeddings, SDXL's conditions."""
        model, side = self.model, self.model.card.defaults.width
        at = model.at
        x = torch.randn(rows, *model.latent_shape(side, side))
        hidden = torch.randn(rows, TOKENS, model.unet.config.cross_attention_dim)
        return (
            x.to(at.device, at.dtype).contiguous(memory_format=at.memory_format),
            torch.full((rows,), 500.0, device=at.device),
            hidden.to(at.device, at.dtype),
            {
                name: torch.rand(rows, width).to(at.device, at.dtype)
                for name, width in self.added.items()
            },
        )

    @property
    def added(self) -> dict[str, int]:
        """The widths of SDXL's conditions; nothing for the others."""
        width = getattr(self.model.unet.config, "projection_class_embeddings_input_dim", None)
        if width is None:
            return {}
        ids_width = 6 * self.model.unet.config.addition_time_embed_dim
        return {"text_embeds": width - ids_width, "time_ids": 6}

    @property
    def is_cuda(self) -> bool:
        """Whether calls run on a GPU, and so return before they are done."""
        return self.model.at.device.type == "cuda"

    def seconds(self, call: Callable[[], object]) -> float:
        """Median seconds of a call, the device's work included; two calls warm up."""
        took = []
        for number in range(2 + REPEATS):
            begin = time.perf_counter()
            call()
            if self.is_cuda:
                torch.cuda.synchronize()
            if number >= 2:
                took.append(time.perf_counter() - begin)
        return statistics.median(took)

    def in_time(self, sizes: Iterable[int], measure: Callable[[int], float]) -> dict[str, float]:
        """The measurement at each size, until time or memory runs out."""
        begin, found = time.perf_counter(), {}
        for size in sizes:
            if time.perf_counter() - begin > self.box_s:
                break
            try:
                found[str(size)] = measure(size)
            except torch.OutOfMemoryError:
                break
        return found


def matmul_tflops(*, dry: bool) -> float:
    """TFLOP/s of a large half-precision matmul of random numbers, as the device's peak."""
    size, device = (256, "cpu") if dry else (8192, "cuda")
    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    took = []
    for _ in range(20):
        begin = time.perf_counter()
        a @ b
        if not dry:
            torch.cuda.synchronize()
        took.append(time.perf_counter() - begin)
    return 2 * size**3 / statistics.median(took[5:]) / 1e12


@torch.inference_mode()
def unet_tflop(bench: Bench) -> float:
    """TFLOP of a call with one row, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        BareUNet(bench.model.unet)(*bench.inputs(1))
    return float(counter.get_total_flops()) / 1e12


@torch.inference_mode()
def unets(bench: Bench, how: str) -> dict[str, float]:
    """Seconds of a UNet call by rows: `eager`, in CUDA `graphs`, `compiled`, or our `package`."""
    if how == "package":
        call = package(bench.model, bench.added)
        rows = [rows for rows in bench.rows if rows <= MAX_ROWS]
        return bench.in_time(rows, lambda n: _timed(bench, call, n))
    bare = BareUNet(bench.model.unet)
    if how == "compiled":
        mode = "max-autotune-no-cudagraphs" if bench.is_cuda else None
        compiled = torch.compile(bare, mode=mode)
        rows = [rows for rows in bench.rows if rows in COMPILED_ROWS]
        return bench.in_time(rows, lambda n: _timed(bench, compiled, n))
    if how == "graphs":
        replayable = bench.rows if bench.is_cuda else ()
        return bench.in_time(replayable, lambda n: _replayed(bench, bare, n))
    return bench.in_time(bench.rows, lambda n: _timed(bench, bare, n))


def _timed(bench: Bench, call: Callable[..., object], rows: int) -> float:
    inputs = bench.inputs(rows)
    return bench.seconds(lambda: call(*inputs))


def _replayed(bench: Bench, call: Callable[..., object], rows: int) -> float:
    inputs = bench.inputs(rows)
    aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(aside):  # as torch requires: warm up on another stream, then capture
        for _ in range(3):
            call(*inputs)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call(*inputs)
    return bench.seconds(graph.replay)


def package(model: LoadedModel, added: dict[str, int]) -> Callable[..., object]:
    """The UNet as the worker compiles it for a model's native size, with any number of rows."""
    side = model.card.defaults.width
    _, height, width = model.latent_shape(side, side)
    shape = Shape.of(model.unet, model.at, height=height, width=width, tokens=TOKENS, added=added)
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)  # on CUDA each kernel is loaded when it is called first
    with torch.inference_mode(False):
        compile_unet(shape, Path(folder.name) / "package")
        call: Callable[..., object] = load(Path(folder.name) / "package", model.unet)
    return call


def decodes(bench: Bench, *, upcast: bool = False) -> dict[str, float]:
    """Seconds of a VAE decode by pictures, with the copy to the host; in fp32 with `upcast`."""
    vae, side = bench.model.vae, bench.model.card.defaults.width
    shape, kept_in = bench.model.latent_shape(side, side), vae.dtype

    def measure(images: int) -> float:
        latents = list(torch.randn(images, *shape, device=bench.model.at.device))
        return bench.seconds(lambda: decode(bench.model, latents).take())

    vae.to(torch.float32 if upcast else kept_in)
    try:
        return bench.in_time(IMAGES, measure)
    finally:
        vae.to(kept_in)


def fit(seconds: Mapping[int, float]) -> tuple[float, float]:
    """Least squares for seconds = call_s + row_s · rows; neither is below zero."""
    mean_n = statistics.mean(seconds)
    mean_s = statistics.mean(seconds.values())
    spread = sum((n - mean_n) ** 2 for n in seconds)
    row_s = max(0.0, sum((n - mean_n) * (s - mean_s) for n, s in seconds.items()) / spread)
    return max(0.0, mean_s - row_s * mean_n), row_s
