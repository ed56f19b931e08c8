"""diffusers' own schedulers and pipelines, one picture at a time: what the engine has to equal."""

import functools
import importlib
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from latentry.contracts import ResolvedRequest, Sampler, Seamless, Spacing
from latentry.contracts.samplers import SAMPLER_SPACINGS
from latentry.rules.pricing import pass_calls

_KINDS: dict[Sampler, tuple[str, dict[str, Any]]] = {
    Sampler.DDIM: ("ddim.DDIM", {"clip_sample": False}),
    Sampler.DDPM: ("ddpm.DDPM", {"clip_sample": False}),
    Sampler.PNDM: ("pndm.PNDM", {"skip_prk_steps": True}),
    Sampler.EULER: ("euler_discrete.EulerDiscrete", {}),
    Sampler.EULER_A: ("euler_ancestral_discrete.EulerAncestralDiscrete", {}),
    Sampler.HEUN: ("heun_discrete.HeunDiscrete", {}),
    Sampler.DPMPP_2M: ("dpmsolver_multistep.DPMSolverMultistep", {}),
    Sampler.DPMPP_2M_SDE: (
        "dpmsolver_multistep.DPMSolverMultistep",
        {"algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler.DPMPP_SDE: (
        "dpmsolver_singlestep.DPMSolverSinglestep",
        {"algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler.DPM2: ("k_dpm_2_discrete.KDPM2Discrete", {}),
    Sampler.DPM2_A: ("k_dpm_2_ancestral_discrete.KDPM2AncestralDiscrete", {}),
    Sampler.LMS: ("lms_discrete.LMSDiscrete", {}),
    Sampler.DEIS: ("deis_multistep.DEISMultistep", {}),
    Sampler.UNIPC: ("unipc_multistep.UniPCMultistep", {}),
    Sampler.LCM: ("lcm.LCM", {}),
    Sampler.TCD: ("tcd.TCD", {}),
}
# As diffusers' documentation translates AUTOMATIC1111's schedule types (Schedulers, overview).
_SPACINGS: dict[Spacing, dict[str, Any]] = {
    Spacing.DEFAULT: {},
    Spacing.KARRAS: {"use_karras_sigmas": True},
    Spacing.EXPONENTIAL: {"timestep_spacing": "linspace", "use_exponential_sigmas": True},
    Spacing.BETA: {"timestep_spacing": "linspace", "use_beta_sigmas": True},
    Spacing.SGM_UNIFORM: {"timestep_spacing": "trailing"},
}
# Stock diffusers 0.42 hands tensors to numpy 2.
WARNINGS = [
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
]
# Pipelines give 0 to every scheduler, which makes TCD's a plain DDIM; 0.3 is its own default.
ETA = {Sampler.TCD: 0.3}
# What their steps multiply with, as far as it is computed beforehand.
_FLOATS = (
    "sigmas", "sigmas_interpol", "sigmas_up", "sigmas_down",
    "alphas_cumprod", "final_alpha_cumprod", "one",
)  # fmt: skip
WALKS = [(sampler, spacing) for sampler, has in SAMPLER_SPACINGS.items() for spacing in has]
# They are not written for a model that predicts the sample.
NOT_OF_SAMPLES = {Sampler.PNDM, Sampler.EULER_A, Sampler.DPM2, Sampler.DPM2_A}
TOLERANCE = 1e-5


def scheduler(config: Mapping[str, Any], sampler: Sampler, spacing: Spacing) -> Any:
    """The stock scheduler for a model with this scheduler config."""
    name, options = _KINDS[sampler]
    kind = getattr(_module(sampler), f"{name.split('.')[1]}Scheduler")
    with pytest.MonkeyPatch.context() as patch:
        if kind.order == 2:  # their makers set a thousand timesteps first, in a second of Python
            patch.setattr(kind, "set_timesteps", _set_none)
        return kind.from_config(config, **(options | _SPACINGS[spacing]))


def takes_no_step(sampler: Sampler, spacing: Spacing, steps: int) -> bool:
    """Whether stock returns the noise that it began with: DEIS ends at the last level it visited.

    By itself that costs a last call without effect; a single step of a spacing of σ is that call.
    """
    spread = (Spacing.KARRAS, Spacing.EXPONENTIAL, Spacing.BETA)
    return sampler is Sampler.DEIS and spacing in spread and steps == 1


class Stock:
    """The stock pipelines of some model folders."""

    def __init__(self, folders: Mapping[str, Path], configs: Mapping[str, Any]) -> None:
        diffusers.logging.set_verbosity_error()
        diffusers.logging.disable_progress_bar()
        transformers.logging.disable_progress_bar()
        self._configs = configs
        self._pipelines = {model: _pipeline(folder) for model, folder in folders.items()}
        self.draw = functools.cache(self._draw)

    def _draw(
        self, request: str, seed: int, *, doubles: bool = False, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The final latent [C, h, w] that the pipeline makes of a request (its JSON) alone.

        `doubles`: with all arithmetic in float64, but from the same noise and weights. `noise`
        [C, h, w]: to start from instead of the seed's; what is drawn later stays that.
        """
        parsed = ResolvedRequest.model_validate_json(request)
        generator = torch.Generator().manual_seed(seed)
        if noise is not None:
            torch.randn(noise.shape, generator=generator)
        pipeline = self._pipelines[parsed.model]
        pipeline.scheduler = scheduler(self._configs[parsed.model], parsed.sampler, parsed.spacing)
        with (
            _in_doubles(pipeline, parsed.sampler) if doubles else nullcontext(),
            _at_the_first(pipeline.scheduler),
            seamless(pipeline.unet, parsed.seamless),
        ):
            drawn = pipeline(
                **cut(pipeline, parsed),
                prompt=parsed.prompt,
                negative_prompt=parsed.negative_prompt or None,
                width=parsed.width,
                height=parsed.height,
                num_inference_steps=parsed.num_inference_steps,
                guidance_scale=parsed.guidance_scale,
                guidance_rescale=parsed.guidance_rescale,
                generator=generator,
                latents=None if noise is None else noise[None],
                output_type="latent",
                eta=ETA.get(parsed.sampler, 0.0),
            )
        latent: torch.Tensor = drawn.images[0]
        return latent

    def enlarge(
        self, request: ResolvedRequest, first: Any, generator: torch.Generator
    ) -> torch.Tensor:
        """The final latent [C, h, w] of hires fix, in fp32: image to image from the first pass.

        first: its latent [C, h, w], to which stock adds noise as to a picture's, or its pixels
        [H, W, 3].
        """
        assert request.hires is not None
        size = (request.hires.width, request.hires.height)
        image: Any
        if isinstance(first, torch.Tensor):
            cells = (size[1] // 8, size[0] // 8)
            image = torch.nn.functional.interpolate(first[None], cells, mode="bilinear")
        else:
            image = Image.fromarray(first).resize(size, Image.Resampling.LANCZOS)
        second = {
            "width": size[0],
            "height": size[1],
            "num_inference_steps": request.hires.steps,
            "strength": request.hires.strength,
        }
        return self.redraw(request.model_copy(update=second), generator, image, None)

    def redraw(
        self, request: ResolvedRequest, seed: int | torch.Generator, image: Any, mask: Any
    ) -> torch.Tensor:
        """The final latent [C, h, w] of image to image, or of inpainting with a mask, in fp32.

        image: a PIL one, or a latent [1, C, h, w] where there is no mask.
        """
        of_request = self._pipelines[request.model]
        of_request.scheduler = scheduler(
            self._configs[request.model], request.sampler, request.spacing
        )
        kind = diffusers.AutoPipelineForInpainting if mask else diffusers.AutoPipelineForImage2Image
        pipeline = kind.from_pipe(of_request)
        pipeline.set_progress_bar_config(disable=True)
        size = (request.width, request.height)
        masked = {} if mask is None else {"mask_image": mask, "width": size[0], "height": size[1]}
        if mask is None and isinstance(image, Image.Image):  # drawn at its own size there
            image = image.resize(size, Image.Resampling.LANCZOS)
        generator = torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
        tiling = request.seamless
        with seamless(pipeline.unet, tiling), seamless(pipeline.vae, tiling):
            drawn = pipeline(
                **cut(pipeline, request),
                prompt=request.prompt,
                negative_prompt=request.negative_prompt or None,
                image=image,
                strength=request.strength,
                num_inference_steps=request.num_inference_steps,
                guidance_scale=request.guidance_scale,
                generator=generator,
                output_type="latent",
                eta=ETA.get(request.sampler, 0.0),
                **masked,
            )
        latent: torch.Tensor = drawn.images[0]
        return latent

    def pipeline(self, model: str) -> Any:
        """The pipeline itself."""
        return self._pipelines[model]

    def pixels(self, model: str, latent: torch.Tensor, tiling: Seamless = Seamless.NONE) -> Any:
        """A latent [C, h, w] as the picture the pipeline makes of it: RGB bytes [H, W, 3]."""
        pipeline = self._pipelines[model]
        with torch.inference_mode(), seamless(pipeline.vae, tiling):
            image = pipeline.vae.decode(latent[None] / pipeline.vae.config.scaling_factor).sample
        picture = pipeline.image_processor.postprocess(image, output_type="np")[0]
        return (picture * 255).round().astype("uint8")


def cut(pipeline: Any, request: ResolvedRequest) -> dict[str, Any]:
    """Stock's arguments to end after `denoise_end` of the steps.

    SDXL's denoising_end compares timesteps. It leaves a step of two calls in its middle, and
    inpainting's lays the picture back without noise (docs/samplers.md): there, and for pipelines
    without it, all calls after ours are interrupted.
    """
    if request.denoise_end == 1:
        return {}
    made, kind = request.last_step, pipeline.scheduler
    kind.set_timesteps(request.num_inference_steps)
    visited = list(dict.fromkeys(float(t) for t in kind.timesteps))
    name = type(pipeline).__name__
    if "XL" in name and "Inpaint" not in name and kind.order == 1:
        middle = (visited[made - 1] + visited[made]) / 2
        return {"denoising_end": 1 - middle / kind.config.num_train_timesteps}
    calls = pass_calls(request)

    def after(pipe: Any, index: int, _: Any, __: Any) -> dict[str, Any]:
        pipe._interrupt = index + 1 >= calls
        return {}

    return {"callback_on_step_end": after}


@contextmanager
def seamless(network: Any, tiling: Seamless) -> Iterator[None]:
    """Torch's own circular convolutions; in one direction, as A1111's asymmetric tiling."""
    convolutions = [one for one in network.modules() if isinstance(one, torch.nn.Conv2d)]
    with pytest.MonkeyPatch.context() as patch:
        for one in convolutions if tiling is not Seamless.NONE else []:
            if tiling is Seamless.BOTH:
                patch.setattr(one, "padding_mode", "circular")
            else:
                patch.setattr(one, "_conv_forward", functools.partial(_one_way, one, tiling))
        yield


def _one_way(one: Any, tiling: Seamless, x: torch.Tensor, weight: Any, bias: Any) -> torch.Tensor:
    rows, columns = one.padding
    way = (columns, columns, 0, 0) if tiling is Seamless.X else (0, 0, rows, rows)
    other = (0, 0, rows, rows) if tiling is Seamless.X else (columns, columns, 0, 0)
    padded = torch.nn.functional.pad(x, way, mode="circular")
    padded = torch.nn.functional.pad(padded, other)
    return torch.nn.functional.conv2d(padded, weight, bias, one.stride, 0, one.dilation)


def error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, in tolerances."""
    scale = max(1.0, theirs.abs().max().item())
    return (ours.double() - theirs.double()).abs().max().item() / (TOLERANCE * scale)


class OpenClipTokenizer(transformers.CLIPTokenizer):  # type: ignore[misc]
    """Pads with id 0 without taking that token's text, `!`, for padding (docs/decisions/0029)."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """As a tokenizer that pads with its end token, and then id 0 after the first of these."""
        found = super().__call__(*args, **options)
        if "padding" in options:
            is_end = (found.input_ids == self.eos_token_id).long()
            found["input_ids"] = found.input_ids.masked_fill(is_end.cumsum(1) > is_end, 0)
        return found


def read_as_open_clip(pipeline: Any, folder: Path) -> None:
    """Give stock the tokenizers that its OpenCLIP text encoders were trained with."""
    for name in ("tokenizer", "tokenizer_2"):
        if getattr(getattr(pipeline, name, None), "pad_token", None) == "!":
            files = (str(folder / name / file) for file in ("vocab.json", "merges.txt"))
            setattr(pipeline, name, OpenClipTokenizer(*files, model_max_length=77))


def _pipeline(folder: Path) -> Any:
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    read_as_open_clip(pipeline, folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(memory_format=torch.channels_last)  # as ours: one convolution less to differ
    return pipeline


def _set_none(scheduler: Any, *_: Any) -> None:
    scheduler.sigmas = torch.empty(0)


def _module(sampler: Sampler) -> Any:
    name = _KINDS[sampler][0].split(".")[0]
    return importlib.import_module(f"diffusers.schedulers.scheduling_{name}")


@contextmanager
def _at_the_first(scheduler: Any) -> Iterator[None]:
    """Begin at the first step.

    Stock schedulers look their place up by timestep, begin at the second of two equal ones, and
    then run past the end: beta spacing from zero terminal SNR visits timestep 998 many times.
    """
    set_timesteps = scheduler.set_timesteps

    @functools.wraps(set_timesteps)
    def set_and_begin(*args: Any, **options: Any) -> None:
        set_timesteps(*args, **options)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "set_timesteps", set_and_begin)
        yield


def _with_float32(library: Any, kind: Any) -> Any:
    """The library, with another kind of number under the name float32."""
    return types.SimpleNamespace(**{**vars(library), "float32": kind})


@contextmanager
def _in_doubles(pipeline: Any, sampler: Sampler) -> Iterator[None]:
    """Weights and arithmetic in float64; noise drawn as ever; the scheduler's floats doubled."""
    scheduler, module = pipeline.scheduler, _module(sampler)
    set_timesteps = scheduler.set_timesteps

    @functools.wraps(set_timesteps)
    def set_in_doubles(*args: Any, **options: Any) -> None:
        set_timesteps(*args, **options)
        for name in (
            "sigmas",
            "sigmas_interpol",
            "sigmas_up",
            "sigmas_down",
            "alphas_cumprod",
            "final_alpha_cumprod",
            "one",
        ):
            if isinstance(value := getattr(scheduler, name, None), torch.Tensor):
                setattr(scheduler, name, value.double())

    def drawn(*args: Any, dtype: torch.dtype, **options: Any) -> torch.Tensor:
        return randn_tensor(*args, dtype=torch.float32, **options).double()

    parts = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "torch", _with_float32(torch, torch.float64))
        # How far DPM2_A goes down is a difference of nearly equal floats, and moves its timesteps.
        numpy_s = np.float64 if sampler is Sampler.DPM2_A else np.float32
        patch.setattr(module, "np", _with_float32(np, numpy_s), raising=False)
        patch.setattr(scheduler, "set_timesteps", set_in_doubles)
        for drawer in (module, importlib.import_module(type(pipeline).__module__)):
            patch.setattr(drawer, "randn_tensor", drawn, raising=False)
        for part in parts:
            part.double()
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)
            for part in parts:
                part.float()
