"""A resolved request, and another value for each of its fields."""

from typing import Any

from latentry.contracts import (
    Determinism,
    OutputFormat,
    PromptSyntax,
    ResolvedRequest,
    Sampler,
    Spacing,
)

RESOLVED = ResolvedRequest(
    model="shapes",
    prompt="a red circle",
    width=128,
    height=96,
    num_inference_steps=25,
    guidance_scale=4.0,
    sampler=Sampler.DPMPP_2M,
    seed=7,
)
CHANGES: dict[str, Any] = {
    "model": "other",
    "prompt": "a blue circle",
    "negative_prompt": "yellow",
    "prompt_syntax": PromptSyntax.PLAIN,
    "clip_skip": 1,
    "width": 64,
    "height": 64,
    "num_inference_steps": 10,
    "guidance_scale": 2.5,
    "guidance_rescale": 0.7,
    "guidance_stop": 0.5,
    "cache_interval": 2,
    "sampler": Sampler.EULER,
    "spacing": Spacing.KARRAS,
    "original_size": (512, 768),
    "crops_coords_top_left": (0, 8),
    "target_size": (96, 128),
    "seed": 8,
    "n": 2,
    "output_format": OutputFormat.WEBP,
    "determinism": Determinism.STRICT,
    "preview_interval": 5,
    "metadata": {"project": "4711"},
}
