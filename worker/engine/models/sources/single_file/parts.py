"""The networks of a checkpoint, each under diffusers' names, and that nothing else is left."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from latentry.errors import ConfigurationError
from worker.engine.models.sources.part_files import is_unused
from worker.engine.models.sources.single_file import names
from worker.engine.models.sources.single_file.configs import (
    Weights,
    clip_config,
    count,
    unet_config,
    vae_config,
)
from worker.engine.models.sources.single_file.families import (
    Family,
    Naming,
    TextEncoder,
    family_of,
)

STATE_DICT: Final = "state_dict."
EMA_UNET: Final = "model_ema.diffusion_model"
_LAYER: Final = "text_model.encoder.layers.{}."
# What else may be in a file, and no picture depends on: training's counters and marks that are read
# elsewhere; what follows from the noise levels, which are compared; CLIP's leftovers.
_KNOWN: Final = re.compile(
    r"model_ema\..*|v_pred|ztsnr|scale_factor|global_step|epoch|iteration"
    r"|betas|(sqrt_|log_)?(one_minus_|recip_|recipm1_)?alphas_cumprod(_prev)?|denoiser\.sigmas"
    r"|posterior_(variance|log_variance_clipped|mean_coef[12])|lvlb_weights|logvar"
    r"|(cond_stage_model|conditioner\.embedders\.\d+)\."
    r"(.*\.)?(logit_scale|position_ids|attn_mask|text_projection(\.weight)?)"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The networks of a checkpoint of a family, by the names that a folder has for them."""

    family: Family
    networks: Mapping[str, Weights]

    def configs(self, side_px: int, vae_scaling: float) -> dict[str, dict[str, Any]]:
        """Each network's config. Raises KeyError with the name of a weight that is missing."""
        configs = {
            name: clip_config(self.networks[name], is_open_clip=encoder.is_open_clip)
            for name, encoder in self.family.text_encoders.items()
        }
        pooled = configs.get("text_encoder_2", {}).get("projection_dim", 0)
        configs["unet"] = unet_config(
            self.networks["unet"], side_px // 8, pooled, self.family.numbers
        )
        configs["vae"] = vae_config(self.networks["vae"], vae_scaling)
        return configs


def without_state_dict(weights: Weights) -> Weights:
    """The weights of a training checkpoint that was flattened with the key that it has them in."""
    return names.renamed(weights, lambda name: name.removeprefix(STATE_DICT))


def split(where: str, weights: Weights, vae: Weights | None) -> Parts:
    """The networks of a checkpoint; `vae` instead of its own, if it is given.

    `where` names the file. Raises ConfigurationError for a checkpoint that is not whole or holds
    weights that are not known, and KeyError with the name of a weight that is missing.
    """
    unet = names.unet(weights)
    family = family_of(unet, weights)
    texts, used = {}, [names.UNET_PREFIX, names.VAE_PREFIX]
    for name, encoder in family.text_encoders.items():
        prefix = _prefix(where, family, encoder, weights)
        texts[name] = _text_encoder(where, name, encoder, prefix, weights)
        used.append(prefix)
    _refuse_left_over(where, (name for name in weights if not name.startswith(tuple(used))))
    own_vae = names.under(weights, names.VAE_PREFIX) if vae is None else vae
    if not own_vae:
        raise ConfigurationError(
            f"{where} has no VAE; put one beside it, with the same name and .vae.safetensors."
        )
    return Parts(family, {**texts, "unet": unet, "vae": names.vae(own_vae)})


def _prefix(where: str, family: Family, encoder: TextEncoder, weights: Weights) -> str:
    counts = {one: sum(name.startswith(one) for name in weights) for one in encoder.layouts}
    prefix = max(counts, key=lambda one: counts[one])
    if counts[prefix]:
        return prefix
    raise ConfigurationError(
        f"{where} has a UNet of {family.name}, but no text encoder of it, whose weights begin with "
        f"{' or '.join(encoder.layouts)}."
    )


def _text_encoder(
    where: str, part: str, encoder: TextEncoder, prefix: str, weights: Weights
) -> Weights:
    """A text encoder under transformers' names, with the layers that are used of it."""
    found = {
        name: stored
        for name, stored in names.under(weights, prefix).items()
        if not is_unused(part, name)
    }
    is_open = encoder.layouts[prefix] is Naming.OPEN_CLIP
    text = names.open_clip(found) if is_open else names.clip(found)
    if encoder.layers is None:
        return text
    layers = count(text, f"{_LAYER}layer_norm1.weight")
    if layers not in (encoder.layers, encoder.layers + 1):
        raise ConfigurationError(
            f"{where} has a text encoder of {layers} layers; {encoder.layers} or "
            f"{encoder.layers + 1} are expected."
        )
    last = _LAYER.format(encoder.layers)
    return {name: stored for name, stored in text.items() if not name.startswith(last)}


def _refuse_left_over(where: str, rest: Iterable[str]) -> None:
    if unknown := sorted(name for name in rest if not _KNOWN.fullmatch(name)):
        raise ConfigurationError(
            f"{where} has {len(unknown)} weights that are not known, for example {unknown[0]}: "
            "without them its pictures would be others."
        )
