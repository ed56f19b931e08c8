"""What single-file checkpoints of one family share, apart from the shapes of their tensors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, Final

from worker.engine.models import clip
from worker.engine.models.weights import StoredTensor

_SCHEDULER: Final = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


class Naming(Enum):
    """Whose names a text encoder's weights have: transformers', or those of the open_clip package.

    Either encoder may come in either: merging tools keep OpenCLIP's under transformers' names.
    """

    TRANSFORMERS = "transformers"
    OPEN_CLIP = "open_clip"


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A text encoder in a file: OpenAI's CLIP, or one of OpenCLIP's.

    `layouts`: by the prefix of its weights' names, how the rest is spelt. `layers`: how many are
    used of it, if not all. The UNets of SD 2.x were trained on the last layer but one of 24;
    diffusers' folders, and files that were made of them, have 23.
    """

    layouts: Mapping[str, Naming]
    is_open_clip: bool = False
    layers: int | None = None

    @property
    def tokenizer(self) -> Callable[[], Any]:
        """What makes its tokenizer; OpenCLIP's encoders were padded with `!`."""
        return partial(clip.tokenizer, pad="!") if self.is_open_clip else clip.tokenizer


@dataclass(frozen=True, slots=True)
class Family:
    """One of Stability AI's models and all that were trained from it.

    `side_px`: the side of its native pictures. `vae_scaling`: the VAE's scaling factor.
    `scheduler`: the config of the scheduler that it was published with. `text_encoders` are by the
    names that a folder in diffusers layout has for them. `has_two_predictions`: it was published
    with UNets that predict v, for `side_px`, and others that predict ε, for 512 pixels. `numbers`:
    how many an SDXL takes beside its pooled prompt. `zeros_for_empty` as in Blueprint.
    """

    name: str
    side_px: int
    vae_scaling: float
    scheduler: Mapping[str, Any]
    text_encoders: Mapping[str, TextEncoder]
    has_two_predictions: bool = False
    numbers: int = 6
    zeros_for_empty: bool = True

    def side_for(self, prediction: str) -> int:
        """The side in pixels of native pictures of a UNet that predicts this."""
        return 512 if self.has_two_predictions and prediction == "epsilon" else self.side_px

    @property
    def tokenizers(self) -> dict[str, Callable[[], Any]]:
        """What makes each tokenizer, by the names that a folder has for them."""
        return {
            name.replace("text_encoder", "tokenizer"): encoder.tokenizer
            for name, encoder in self.text_encoders.items()
        }


SD1: Final = Family(
    name="SD 1.x",
    side_px=512,
    vae_scaling=0.18215,
    scheduler={**_SCHEDULER, "_class_name": "PNDMScheduler", "skip_prk_steps": True},
    text_encoders={
        "text_encoder": TextEncoder({"cond_stage_model.transformer.": Naming.TRANSFORMERS})
    },
)
SD2: Final = Family(
    name="SD 2.x",
    side_px=768,
    vae_scaling=0.18215,
    scheduler={**_SCHEDULER, "_class_name": "DDIMScheduler"},
    text_encoders={
        "text_encoder": TextEncoder(
            {
                "cond_stage_model.model.": Naming.OPEN_CLIP,
                "conditioner.embedders.0.model.": Naming.OPEN_CLIP,
                "cond_stage_model.transformer.": Naming.TRANSFORMERS,
            },
            is_open_clip=True,
            layers=23,
        )
    },
    has_two_predictions=True,
)
SDXL: Final = Family(
    name="SDXL",
    side_px=1024,
    vae_scaling=0.13025,
    scheduler={**_SCHEDULER, "_class_name": "EulerDiscreteScheduler"},
    text_encoders={
        "text_encoder": TextEncoder({"conditioner.embedders.0.transformer.": Naming.TRANSFORMERS}),
        "text_encoder_2": TextEncoder(
            {"conditioner.embedders.1.model.": Naming.OPEN_CLIP}, is_open_clip=True
        ),
    },
)


SDXL_REFINER: Final = replace(
    SDXL,
    name="SDXL's refiner",
    text_encoders={
        "text_encoder_2": TextEncoder(
            {"conditioner.embedders.0.model.": Naming.OPEN_CLIP}, is_open_clip=True
        ),
    },
    numbers=5,
    zeros_for_empty=False,
)


def family_of(unet: Mapping[str, StoredTensor], names: Iterable[str]) -> Family:
    """The family of a UNet, whose weights have diffusers' names, in a file with these names.

    Only SDXL's takes more than a prompt, and only its refiner has SDXL's second text encoder first;
    since 2.x projections are matrices, not convolutions. Raises KeyError with the name of a weight
    that is missing.
    """
    if "add_embedding.linear_1.weight" in unet:
        first = next(iter(SDXL_REFINER.text_encoders["text_encoder_2"].layouts))
        return SDXL_REFINER if any(name.startswith(first) for name in names) else SDXL
    projection = next((name for name in unet if name.endswith(".proj_in.weight")), "proj_in.weight")
    return SD2 if len(unet[projection].shape) == 2 else SD1
