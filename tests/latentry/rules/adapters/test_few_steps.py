"""LoRAs for few steps, by the names under which they are published."""

import pytest

from latentry.contracts.samplers import SAMPLER_SPACINGS
from latentry.rules.adapters.few_steps import suggestion

PUBLISHED = {
    "lcm-lora-sdv1-5": ("lcm", "default", 4, 1.0),
    "LCM_LoRA_Weights_SD15": ("lcm", "default", 4, 1.0),
    "Hyper-SD15-1step-lora": ("tcd", "default", 1, 1.0),
    "Hyper-SDXL-2steps-lora": ("ddim", "sgm_uniform", 2, 1.0),
    "Hyper-SDXL-8steps-lora": ("ddim", "sgm_uniform", 8, 1.0),
    "Hyper-SD15-12steps-CFG-lora": ("ddim", "sgm_uniform", 12, 5.0),
    "sdxl_lightning_4step_lora": ("euler", "sgm_uniform", 4, 1.0),
    "SDXL-Lightning 8 steps": ("euler", "sgm_uniform", 8, 1.0),
    "TCD-SD15-LoRA": ("tcd", "default", 4, 1.0),
    "sd_xl_turbo_lora_v1": ("euler_a", "sgm_uniform", 1, 1.0),
    "dmd2_sdxl_4step_lora_fp16": ("lcm", "default", 4, 1.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_suggests_what_its_makers_do(name: str) -> None:
    found = suggestion([name])
    assert found is not None
    assert found.spacing in SAMPLER_SPACINGS[found.sampler]
    steps, guidance = found.num_inference_steps, found.guidance_scale
    assert (found.sampler, found.spacing, steps, guidance) == PUBLISHED[name]


@pytest.mark.parametrize(
    "name",
    [
        "ink",
        "hyperrealism",
        "wlcm",
        "step by step 3",
        "hyperdetailed sdxl v1",
        "stcd",
        "lightning bolts",
        "turbo cars",
    ],
)
def test_of_others_nothing_is_suggested(name: str) -> None:
    assert suggestion([name]) is None


def test_a_title_counts_where_the_file_is_called_otherwise() -> None:
    found = suggestion(["pytorch_lora_weights", "LCM-LoRA: SDXL"])
    assert found
    assert found.sampler == "lcm"
    assert suggestion(["pytorch_lora_weights", None]) is None
