"""A style: a named template of prompts, with defaults for a few other fields."""

from typing import Literal

from latentry.contracts.fields import conditioning, sampling
from latentry.contracts.fields.templates import StyleName
from latentry.contracts.wire import Listing, ResponseModel


class StyleDefaults(ResponseModel):
    """What a style sets where the request says nothing."""

    width: sampling.Width = None
    height: sampling.Height = None
    num_inference_steps: sampling.Steps = None
    guidance_scale: sampling.GuidanceScale = None
    sampler: sampling.Sampler = None
    spacing: sampling.Spacing = None


class Style(ResponseModel):
    """A named template: `{prompt}` in it stands for the caller's; without one it is appended."""

    name: StyleName
    prompt: conditioning.Prompt = ""
    negative_prompt: conditioning.NegativePrompt = ""
    defaults: StyleDefaults = StyleDefaults()


class StyleList(Listing[Style]):
    """`GET /v1/styles`."""

    object: Literal["list"] = "list"
