"""Every way to make an image, as the fields of a request: a new one needs a line in MODES here.

All proofs walk this table: the oracle, strict mode's schedules and the fault storm.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from latentry.contracts import InputFile

WIDTH, HEIGHT = 80, 72  # of the pictures that are brought: other sizes than the images'
_PICTURES: Final = ("image", "mask")


@dataclass(frozen=True, slots=True)
class Mode:
    """The fields that make it, besides model, prompt, sampler, seed and sizes of 64 to 96 pixels.

    brings: which of them are pictures. channels: of the UNet's input; of an inpainting one 9, of
    one that edits pictures 8.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    brings: tuple[str, ...] = ()
    channels: int = 4

    def as_resolved(self, seed: int) -> dict[str, Any]:
        """The fields as a worker gets them, with pictures by name; their pixels are of `seed`."""
        fields = {**self.fields, **dict.fromkeys(self.brings, file_of(str(seed)))}
        if "loras" in fields:
            fields["loras"] = [resolved(lora) for lora in fields["loras"]]
        if "vae" in fields:
            fields["vae"] = {"id": fields["vae"], "sha256": "0" * 64}
        if "controls" in fields:
            guide, controls = file_of(str(seed)), fields["controls"]
            fields["controls"] = [{**one, "image": guide, "sha256": "0" * 64} for one in controls]
        if "image_prompts" in fields:
            fields["image_prompts"] = [
                {**one, "sha256": "0" * 64, "image": file_of(f"{seed} {place}")}
                for place, one in self._prompts.items()
            ]
        if self.embeddings:
            fields["embeddings"] = [
                {"id": id, "sha256": "0" * 64, "vectors": EMBEDDINGS[id]} for id in self.embeddings
            ]
        return fields

    @property
    def embeddings(self) -> list[str]:
        """Those that its prompts name."""
        prompts = f"{self.fields.get('prompt')} {self.fields.get('negative_prompt')}"
        return [id for id in EMBEDDINGS if f"<{id}>" in prompts]

    def as_sent(self, seed: int) -> dict[str, Any]:
        """The fields as a client sends them, with pictures as PNG bytes."""
        made, shown = pictures(seed), self.shown(seed)
        fields = {**self.fields, **{name: png(made[name]) for name in self.brings}}
        if "controls" in fields:
            image = png(made["image"])
            fields["controls"] = [{**one, "image": image} for one in fields["controls"]]
        if "image_prompts" in fields:
            fields["image_prompts"] = [
                {**one, "image": png(shown[f"{place}/image"])}
                for place, one in self._prompts.items()
            ]
        return fields

    def shown(self, seed: int) -> dict[str, npt.NDArray[np.uint8]]:
        """The pictures of its image prompts, by place."""
        return {
            f"{place}/image": pictures(1000 * (number + 1) + seed)["image"]
            for number, place in enumerate(self._prompts)
        }

    @property
    def _prompts(self) -> dict[str, Mapping[str, Any]]:
        prompts = self.fields.get("image_prompts", ())
        return {f"image_prompts/{number}": one for number, one in enumerate(prompts)}


# The tests' models of modes that need a UNet of their own, by the channels of its input.
SPECIAL: Final = {9: "sd1-inpainting", 8: "sd1-edit"}
_IMAGE: Final = ("image",)
_MASKED: Final = ("image", "mask")
# Files of the tests' own: `ink` changes a UNet's attention, `pen` convolutions and texts too.
LORAS: Final = ("ink", "pen")
VAE: Final = "glass"  # akin to each model's own
# IP-Adapters of theirs: `eye` looks at a whole picture, `gaze` (plus) at its parts.
IP_ADAPTERS: Final = ("eye", "gaze")
_EYE: Final = {"id": "eye", "weight": 0.7}
_GAZE: Final = {"id": "gaze", "weight": 0.5}
# Embeddings of the tests' own, and how many vectors each has.
EMBEDDINGS: Final = {"murk": 1, "wisp": 3}
_INK: Final = {"id": "ink", "weight": 0.8}
_PEN: Final = {"id": "pen", "weight": -0.5, "text_encoder_weight": 0.4}
# ControlNets of the tests' own, each shown the picture of its image's seed.
CONTROLS: Final = ("lines", "depth")
_LINES: Final = {"id": "lines", "weight": 0.8}
_DEPTH: Final = {"id": "depth", "weight": 1.5, "start": 0.2, "end": 0.7, "mode": "prompt"}
T2I_ADAPTER: Final = "sketch"  # of theirs too
_SKETCH: Final = {"id": T2I_ADAPTER, "weight": 0.8, "end": 0.9}
_HIRES: Final = {"width": 128, "height": 128, "steps": 3, "strength": 0.7}

MODES: Final[dict[str, Mode]] = {
    "text": Mode(),
    "noise": Mode({"num_inference_steps": 0}),
    "shown": Mode({"intermediates": {"every": 2}}),
    "varied": Mode({"variation_seed": 8, "variation_strength": 0.3}),
    "seamless": Mode({"seamless": "x"}),
    "scheduled": Mode({"prompt": "a [red:blue:0.5] circle", "negative_prompt": "[blur::.3]"}),
    "alternating": Mode({"prompt": "a [red|blue|green] circle"}),
    "composed": Mode({"prompt": "a [cat|cow] AND a dog :0.7 AND snow :-0.4"}),
    "LoRA": Mode({"loras": [_INK]}),
    "LoRAs": Mode({"loras": [_INK, _PEN], "prompt": "a [cat|cow] AND snow :0.4"}),
    "control": Mode({"controls": [_LINES]}),
    "controls, LoRA": Mode({"controls": [_DEPTH, {**_LINES, "mode": "guess"}], "loras": [_PEN]}),
    "hires, control": Mode({"hires": _HIRES, "controls": [{**_LINES, "mode": "control"}]}),
    "image, control": Mode({"strength": 0.6, "controls": [_LINES]}, _IMAGE),
    "inpainted, controls": Mode(
        {"strength": 0.6, "controls": [_LINES, {**_DEPTH, "start": 0.0}]}, _MASKED
    ),
    "inpainting UNet, control": Mode({"strength": 0.6, "controls": [_LINES]}, _MASKED, channels=9),
    "image prompt": Mode({"image_prompts": [_EYE]}),
    "image prompts, LoRA": Mode(
        {"image_prompts": [_GAZE, {**_EYE, "weight": -0.4}, _GAZE], "loras": [_PEN]}
    ),
    "hires, image prompts": Mode(
        {"hires": _HIRES, "image_prompts": [_GAZE, {**_GAZE, "weight": 0.3}]}
    ),
    "embeddings": Mode({"prompt": "a <wisp> and a circle", "negative_prompt": "<murk>, blur"}),
    "embeddings by call": Mode({"prompt": "a [<wisp>|cow] AND <murk> :0.4", "loras": [_PEN]}),
    "hires": Mode({"hires": _HIRES}),
    "hires, LoRAs": Mode({"hires": _HIRES, "loras": [_PEN, _INK]}),
    "hires by pixels": Mode({"hires": {**_HIRES, "upscaler": "lanczos"}}),
    "image to image": Mode({"strength": 0.6}, _IMAGE),
    "image varied": Mode({"strength": 0.3, "prompt": ""}, _IMAGE),
    "image, hires": Mode({"strength": 0.6, "hires": _HIRES}, _IMAGE),
    "image, seamless": Mode({"strength": 0.6, "seamless": "both"}, _IMAGE),
    "VAE": Mode({"vae": VAE}),
    "image, VAE": Mode({"strength": 0.6, "vae": VAE}, _IMAGE),
    "hires by pixels, VAE, LoRA": Mode(
        {"hires": {**_HIRES, "upscaler": "lanczos"}, "vae": VAE, "loras": [_INK]}
    ),
    "all adapters": Mode(
        {
            "prompt": "a <wisp> and a circle",
            "negative_prompt": "<murk>, blur",
            "hires": {**_HIRES, "upscaler": "lanczos"},
            "loras": [_INK, _PEN],
            "controls": [_DEPTH, {**_LINES, "mode": "guess"}],
            "image_prompts": [_EYE, _GAZE],
            "vae": VAE,
        }
    ),
    "inpainted, all adapters": Mode(
        {
            "prompt": "a <wisp> and a circle",
            "strength": 0.6,
            "loras": [_PEN],
            "controls": [_LINES],
            "image_prompts": [_GAZE],
            "vae": VAE,
        },
        _MASKED,
    ),
    "image, LoRA": Mode({"strength": 0.6, "loras": [_PEN]}, _IMAGE),
    "inpainted": Mode({"strength": 0.6}, _MASKED),
    "inpainted, image prompt": Mode({"strength": 0.6, "image_prompts": [_GAZE]}, _MASKED),
    "inpainted anew": Mode({"strength": 1.0}, _MASKED),
    "inpainted on fill": Mode({"strength": 0.6, "mask_fill": "fill", "mask_blur": 4}, _MASKED),
    "inpainted on noise": Mode({"strength": 0.6, "mask_fill": "noise"}, _MASKED),
    "inpainted on nothing": Mode({"strength": 0.6, "mask_fill": "empty"}, _MASKED),
    "inpainted in part": Mode(
        {"strength": 0.6, "inpaint_area": "masked", "mask_padding": 8}, _MASKED
    ),
    "outpainted": Mode({"strength": 1.0, "extend": {"left": 32, "top": 8}}, _IMAGE),
    "end left out": Mode({"denoise_end": 0.5}),
    "start left out": Mode({"denoise_start": 0.5}, _IMAGE),
    "inpainting UNet": Mode({"strength": 0.6}, _MASKED, channels=9),
    "inpainting UNet, text": Mode(channels=9),
    "inpainting UNet, outpainted": Mode(
        {"strength": 1.0, "extend": {"left": 32}}, _IMAGE, channels=9
    ),
    "edited": Mode({"image_guidance_scale": 1.5}, _IMAGE, channels=8),
    "T2I-Adapter, control, LoRA": Mode({"controls": [_SKETCH, _LINES], "loras": [_PEN]}),
}


def file_of(pixel_sha256: str) -> InputFile:
    """A file with such pixels."""
    return InputFile(file="file_1", pixel_sha256=pixel_sha256, width=WIDTH, height=HEIGHT)


def resolved(lora: Mapping[str, Any]) -> dict[str, Any]:
    """The LoRA as a worker gets it, of a file whose hash is yet to be known."""
    return {"text_encoder_weight": lora["weight"], "sha256": "0" * 64, **lora}


def pictures(seed: int) -> dict[str, npt.NDArray[np.uint8]]:
    """An `image` of smooth colours and a `mask` that repaints an ellipse in it: RGB bytes."""
    cells = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    photo = Image.fromarray(cells).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    mask = Image.new("RGB", (WIDTH, HEIGHT))
    ImageDraw.Draw(mask).ellipse((18, 10, 62 + seed % 8, 52), fill="white")
    return {"image": np.asarray(photo), "mask": np.asarray(mask)}


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The pixels as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
