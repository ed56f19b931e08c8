#!/bin/sh
# diffusers 0.42.1: StableDiffusionPipeline hands eta=0.0 to every scheduler whose step() takes one, so TCDScheduler's own default of 0.3
# is never used from a pipeline: TCD draws no noise and takes DDIM's steps, to rounding, unless the caller knows to pass eta himself.
# Seen: step(…, eta=0.0) equals DDIM's step between the same timesteps; step(…) does not.
# Exits with 1 if the pipeline's default changes, or the two steps differ.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 transformers==5.24.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import inspect

import torch
from diffusers import StableDiffusionPipeline, TCDScheduler

default = inspect.signature(StableDiffusionPipeline.__call__).parameters["eta"].default
own = inspect.signature(TCDScheduler.step).parameters["eta"].default
x, m = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def step(**options):
    scheduler = TCDScheduler()
    scheduler.set_timesteps(4)
    t, t_next = scheduler.timesteps[:2]
    a, a_next = scheduler.alphas_cumprod[t], scheduler.alphas_cumprod[t_next]
    torch.manual_seed(0)
    found = scheduler.step(m, t, x, **options).prev_sample
    ddim = a_next.sqrt() * (x - (1 - a).sqrt() * m) / a.sqrt() + (1 - a_next).sqrt() * m
    return (found - ddim).abs().max().item()


from_pipeline, alone = step(eta=default), step()
print(f"the pipeline's eta {default}: {from_pipeline:.1e} from DDIM; the scheduler's own {own}: {alone:.2f}")
raise SystemExit(0 if default == 0 and from_pipeline < 1e-5 < alone else 1)
PYTHON
