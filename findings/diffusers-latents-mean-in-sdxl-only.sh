#!/bin/sh
# diffusers 0.42.1: an AutoencoderKL's config may have latents_mean and latents_std. StableDiffusionXLPipeline decodes
# latents * latents_std / scaling_factor + latents_mean; StableDiffusionPipeline ignores both without a word, so the same VAE gives another
# picture there.
# Seen: with latents_mean=[2, -1, 0.5, 3], latents_std=[1.5, 0.7, 1.1, 2] the SDXL picture changes, that of StableDiffusionPipeline by nothing.
# Exits with 1 if both change, or neither.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 transformers==5.24.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from diffusers import (
    AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline,
    UNet2DConditionModel,
)

torch.manual_seed(0)
sizes = dict(
    sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=8,
)
unet = UNet2DConditionModel(**sizes)
unet_xl = UNet2DConditionModel(
    **sizes, addition_embed_type="text_time", addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=16 + 6 * 8,
)
blocks = dict(down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",))
vae = AutoencoderKL(block_out_channels=(32,), latent_channels=4, sample_size=8, **blocks)
prompt, pooled = torch.randn(1, 3, 32), torch.randn(1, 16)


def draw(pipeline, **more):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt_embeds=prompt, height=8, width=8, num_inference_steps=2, guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0), output_type="pt", **more,
    ).images


def both():
    parts = dict(vae=vae, text_encoder=None, tokenizer=None, scheduler=DDIMScheduler(clip_sample=False))
    plain = StableDiffusionPipeline(
        **parts, unet=unet, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    xl = StableDiffusionXLPipeline(
        **parts, unet=unet_xl, text_encoder_2=None, tokenizer_2=None, add_watermarker=False
    )
    return draw(plain), draw(xl, pooled_prompt_embeds=pooled)


before = both()
vae.register_to_config(latents_mean=[2.0, -1.0, 0.5, 3.0], latents_std=[1.5, 0.7, 1.1, 2.0])
changed = [(one - other).abs().max().item() for one, other in zip(before, both())]
print(f"StableDiffusionPipeline changes by {changed[0]:.3f}, StableDiffusionXLPipeline by {changed[1]:.3f}")
raise SystemExit(0 if changed[0] == 0 < changed[1] else 1)
PYTHON
