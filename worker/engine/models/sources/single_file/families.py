"""What single-file checkpoints of one family share, apart from the shapes of their tensors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from worker.engine.models import clip

V_PREDICTION: Final = {"prediction_type": "v_prediction"}
_SCHEDULER: Final = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A text encoder in a file: OpenAI's CLIP, or one of OpenCLIP's.

    The names of its weights begin with `prefix`. It `drops_last_layer` if the UNet was trained on
    the last layer but one and never on the last, as diffusers' folders of SD 2.x do.
    """

    prefix: str
    is_open_clip: bool = False
    drops_last_layer: bool = False

    @property
    def tokenizer(self) -> Callable[[], Any]:
        """What makes its tokenizer; OpenCLIP's encoders were padded with `!`."""
        return partial(clip.tokenizer, pad="!") if self.is_open_clip else clip.tokenizer


@dataclass(frozen=True, slots=True)
class Family:
    """One of Stability AI's models and all that were trained from it.

    `side_px`: the side of its native pictures. `vae_scaling`: the VAE's scaling factor.
    `scheduler`: the config of the scheduler that it was published with. `text_encoders` are by the
    names that a folder in diffusers layout has for them.
    """

    side_px: int
    vae_scaling: float
    scheduler: Mapping[str, Any]
    text_encoders: Mapping[str, TextEncoder]

    @property
    def marker(self) -> str:
        """The prefix of the weights' names that no other family has: its last text encoder's."""
        return list(self.text_encoders.values())[-1].prefix

    @property
    def tokenizers(self) -> dict[str, Callable[[], Any]]:
        """What makes each tokenizer, by the names that a folder has for them."""
        return {
            name.replace("text_encoder", "tokenizer"): encoder.tokenizer
            for name, encoder in self.text_encoders.items()
        }


FAMILIES: Final[Mapping[str, Family]] = {
    "SD 1.x": Family(
        side_px=512,
        vae_scaling=0.18215,
        scheduler={**_SCHEDULER, "_class_name": "PNDMScheduler"},
        text_encoders={"text_encoder": TextEncoder("cond_stage_model.transformer.")},
    ),
    # 768-v. The 512 model, which predicts ε, has the very same shapes: its overrides must set it.
    "SD 2.x": Family(
        side_px=768,
        vae_scaling=0.18215,
        scheduler={**_SCHEDULER, "_class_name": "DDIMScheduler", **V_PREDICTION},
        text_encoders={
            "text_encoder": TextEncoder(
                "cond_stage_model.model.", is_open_clip=True, drops_last_layer=True
            )
        },
    ),
    "SDXL": Family(
        side_px=1024,
        vae_scaling=0.13025,
        scheduler={**_SCHEDULER, "_class_name": "EulerDiscreteScheduler"},
        text_encoders={
            "text_encoder": TextEncoder("conditioner.embedders.0.transformer."),
            "text_encoder_2": TextEncoder("conditioner.embedders.1.model.", is_open_clip=True),
        },
    ),
}


def family_of(names: Iterable[str]) -> Family | None:
    """The family of a file with weights of these names, if it has one."""
    names = list(names)
    for family in FAMILIES.values():
        if any(name.startswith(family.marker) for name in names):
            return family
    return None
