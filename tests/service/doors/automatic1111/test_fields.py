"""Each field has the fate that the page says; and each that webuiapi sends is known."""

import pytest

from service.doors.automatic1111.requests.generations import Img2Img, Txt2Img
from service.doors.fates import Fate, fate_of
from tools.pages.automatic1111_fields import PAGE, section

# What `WebUIApi.txt2img` and `img2img` of webuiapi 0.9.17 send, but for what both have.
TXT2IMG = (
    "enable_hr hr_scale hr_upscaler hr_second_pass_steps hr_resize_x hr_resize_y denoising_strength"
    " firstphase_width firstphase_height"
)
IMG2IMG = (
    "init_images resize_mode denoising_strength mask_blur inpainting_fill inpaint_full_res"
    " inpaint_full_res_padding inpainting_mask_invert initial_noise_multiplier image_cfg_scale"
    " include_init_images mask"
)
BOTH = (
    "prompt styles seed subseed subseed_strength seed_resize_from_h seed_resize_from_w batch_size"
    " n_iter steps cfg_scale width height restore_faces tiling do_not_save_samples do_not_save_grid"
    " negative_prompt eta s_churn s_tmax s_tmin s_noise override_settings"
    " override_settings_restore_afterwards sampler_name sampler_index script_name script_args"
    " send_images save_images alwayson_scripts"
)


def test_the_page_is_what_the_program_writes() -> None:
    page = PAGE.path.read_text()
    assert page == PAGE.with_section(page, section()), f"run `python -m {PAGE.program}`"
    assert section() in page


@pytest.mark.parametrize(
    ("model", "sent"), [(Txt2Img, f"{TXT2IMG} {BOTH}"), (Img2Img, f"{IMG2IMG} {BOTH}")]
)
def test_every_field_that_webuiapi_sends_has_its_fate(model, sent: str) -> None:
    assert set(sent.split()) <= model.model_fields.keys()


@pytest.mark.parametrize("model", [Txt2Img, Img2Img])
def test_every_field_is_marked_and_described(model) -> None:
    for name, field in model.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, type(fate_of(field)))]
        assert len(marks) == 1, name
        assert field.description, name


@pytest.mark.parametrize("model", [Txt2Img, Img2Img])
def test_a_default_asks_for_nothing_that_is_refused(model) -> None:
    for name, field in model.model_fields.items():
        here = fate_of(field)
        if here.fate is Fate.REFUSED:
            default = field.get_default(call_default_factory=True)
            assert default is None or default in here.unless, name
