"""Styles applied to a request: prompts, and what a request omits."""

import pytest

from latentry.contracts import GenerationRequest, Sampler, Spacing, Style, StyleDefaults
from latentry.errors import UnknownStyle
from latentry.rules.styles import merged, styled

STYLES = {
    style.name: style
    for style in (
        Style(name="Night", prompt="{prompt}, black background", negative_prompt="white"),
        Style(name="Oil", prompt="oil painting", negative_prompt="photo, {prompt}"),
        Style(
            name="Banner",
            defaults=StyleDefaults(
                width=192, num_inference_steps=50, sampler="dpmpp_2m", spacing="karras"
            ),
        ),
        Style(name="banner", defaults=StyleDefaults(width=96)),
    )
}


def request(**fields: object) -> GenerationRequest:
    return GenerationRequest.model_validate({"prompt": "a frog"} | fields)


@pytest.mark.parametrize(
    ("template", "prompt", "expected"),
    [
        ("{prompt}, night", "a frog", "a frog, night"),
        ("{prompt} and {prompt}", "a", "a and a"),
        ("night", "a frog", "a frog, night"),
        ("night", "", "night"),
        ("", "a frog", "a frog"),
        ("", "", ""),
    ],
)
def test_a_template_takes_the_prompt_in_or_is_appended(
    template: str, prompt: str, expected: str
) -> None:
    assert merged(template, prompt) == expected


def test_styles_wrap_one_another_in_the_order_of_the_request() -> None:
    made = styled(request(styles=["Night", "Oil"], negative_prompt="blur"), STYLES)
    assert made.prompt == "a frog, black background, oil painting"
    assert made.negative_prompt == "photo, blur, white"
    assert made.styles == ()


def test_braces_of_the_prompt_are_no_place_for_another() -> None:
    made = styled(request(prompt="a {prompt}", styles=["Night"]), STYLES)
    assert made.prompt == "a {prompt}, black background"


def test_a_style_fills_in_what_the_request_omits_and_nothing_else() -> None:
    made = styled(request(styles=["Banner"], num_inference_steps=3), STYLES)
    assert (made.width, made.num_inference_steps, made.height) == (192, 3, None)
    assert (made.sampler, made.spacing) == (Sampler.DPMPP_2M, Spacing.KARRAS)
    later = styled(request(styles=["Banner", "banner"]), STYLES)
    assert (later.width, later.num_inference_steps) == (96, 50)


def test_the_spacing_of_a_style_belongs_to_its_sampler() -> None:
    made = styled(request(styles=["Banner"], sampler="ddim"), STYLES)
    assert (made.sampler, made.spacing) == (Sampler.DDIM, None)


def test_capitals_matter_only_where_they_tell_two_styles_apart() -> None:
    assert styled(request(styles=["NIGHT"]), STYLES).prompt == "a frog, black background"
    with pytest.raises(UnknownStyle):
        styled(request(styles=["BANNER"]), STYLES)


def test_unknown_styles_are_all_named_with_their_places_and_near_names() -> None:
    with pytest.raises(UnknownStyle) as caught:
        styled(request(styles=["nigth", "Oil", "zzz"]), STYLES)
    assert caught.value.fields == {
        "/styles/0": "There is no style “nigth”; did you mean “Night”?",
        "/styles/2": "There is no style “zzz”.",
    }
