"""The stock pipeline of a model: loads it, draws, and says what that took, as one line of JSON.

python -m benchmarks.real_size.stock SIZE DTYPE FOLDER SOURCE PICTURES
"""

import json
import os
import sys
import time

from benchmarks.real_size.figures import GUIDANCE, PROMPT, SIDES, STEPS, peak_gb


def main() -> None:
    """Measure; SOURCE is the folder, or the model's single file."""
    size, dtype_name, folder, source, pictures = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print
    begin = time.monotonic()
    import torch
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    found = {"imports_s": time.monotonic() - begin}
    kind = StableDiffusionXLPipeline if size == "sdxl" else StableDiffusionPipeline
    dtype = getattr(torch, dtype_name)
    begin = time.monotonic()
    if source == folder:
        pipeline = kind.from_pretrained(folder, torch_dtype=dtype)
    else:
        pipeline = kind.from_single_file(source, config=folder, torch_dtype=dtype)
    found |= {"loaded_s": time.monotonic() - begin, "loaded_gb": peak_gb(os.getpid())}
    pipeline.set_progress_bar_config(disable=True)
    for name in ("first_s", "second_s", "rested_s")[: int(pictures)]:
        begin = time.monotonic()
        pipeline(
            PROMPT,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            width=SIDES[size],
            height=SIDES[size],
            generator=torch.Generator().manual_seed(0),
        )
        found[name] = time.monotonic() - begin
    replies.write(json.dumps(found | {"peak_gb": peak_gb(os.getpid())}) + "\n")


if __name__ == "__main__":
    main()
