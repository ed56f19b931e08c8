#!/bin/sh
# diffusers 0.42.1 without accelerate, which it does not require: `apply_group_offloading` succeeds, and then the module's first call
# raises NameError: name 'send_to_device' is not defined. Nothing says that accelerate is missing.
# Seen: exactly that, with torch 2.13.0.
# Exits with 1 if it works, or fails with another error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 diffusers==0.42.1 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from diffusers import AutoencoderTiny
from diffusers.hooks import apply_group_offloading

vae = AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
                      num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1))
cpu = torch.device("cpu")
apply_group_offloading(vae, onload_device=cpu, offload_device=cpu, offload_type="leaf_level")
print("apply_group_offloading: no complaint")
try:
    vae(torch.zeros(1, 3, 16, 16))
except NameError as error:
    print(f"the first call: NameError: {error}")
    raise SystemExit(0 if "send_to_device" in str(error) else 1)
print("the first call: works")
raise SystemExit(1)
PYTHON
