#!/bin/sh
# diffusers 0.42.1: SDXL's denoising_end counts timesteps, of which schedulers of two calls a step have two a step. The base
# model then ends in the middle of a step, and the refiner's denoising_start begins one entry earlier, at the level before:
# with HeunDiscreteScheduler it takes the latent to have more noise than is left in it. With EulerDiscreteScheduler both agree.
# Seen: Euler: the base ends at sigma 0.3687, the refiner begins at 0.3687; Heun: 0.3687 and 0.625.
# Exits with 1 if they agree for Heun too.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 transformers==5.24.0 numpy scipy
"$folder/venv/bin/python" - <<'PYTHON'
import types

import torch
from diffusers import (
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
)

levels = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
apart = {}
for kind in (EulerDiscreteScheduler, HeunDiscreteScheduler):
    base, refiner = kind(**levels), kind(**levels)
    base.set_timesteps(10)
    made = [t for t in base.timesteps if t >= round(1000 - 0.8 * 1000)]  # as the base's loop
    x = torch.ones(1, 1, 1, 1) * base.init_noise_sigma
    for t in made:  # a model that takes all for noise: x is then sigma times that noise
        x = base.step(torch.ones(1, 1, 1, 1), t, x).prev_sample
    refiner.set_timesteps(10)
    pipeline = types.SimpleNamespace(scheduler=refiner)
    get = StableDiffusionXLImg2ImgPipeline.get_timesteps
    timesteps, _ = get(pipeline, 10, None, "cpu", denoising_start=0.8)
    begin = refiner.sigmas[len(refiner.timesteps) - len(timesteps)].item()
    end = (x - base.init_noise_sigma).item() + base.sigmas[0].item()
    apart[kind.__name__] = begin - end
    print(kind.__name__, "the base ends at sigma", round(end, 4), "the refiner begins at", round(begin, 4))
euler, heun = apart["EulerDiscreteScheduler"], apart["HeunDiscreteScheduler"]
raise SystemExit(0 if abs(euler) < 1e-3 and abs(heun) > 0.05 else 1)
PYTHON
