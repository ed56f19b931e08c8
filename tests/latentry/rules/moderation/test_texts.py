"""All texts that an image is drawn from are read, without what the syntax adds."""

import pytest

from latentry.contracts import Adapter, ResolvedRequest
from latentry.errors import InvalidPrompt
from latentry.rules.moderation.folding import readings
from latentry.rules.moderation.texts import Text, texts
from tests.latentry.ledger.factory import request


def pointers(wanted: ResolvedRequest, word: str, *adapters: Adapter) -> set[str]:
    """Where it is read, as what is to be drawn."""
    found = texts(wanted, adapters)
    said = {one.pointer for one in found if any(word in way.split() for way in readings(one.text))}
    return said - {one.pointer for one in found if one.is_negative and word in one.text.split()}


@pytest.mark.parametrize(
    "prompt",
    [
        "a naked frog",
        "(na:1.2)ked",
        "na(ke)d",
        "[na]ked",
        "((naked))",
        "(red:1.2)naked(green:0.5)",
        "[na|x]ked",
        "[circle:naked:0.5]",
        "[naked::0.5]",
        "[circle:na:0.5]ked",
        "a cat AND naked :0.3",
        "x BREAK naked",
        r"\(naked\)",
        "[a:[b:naked:0.5]:0.2]",
    ],
)
def test_no_syntax_hides_a_word(prompt: str) -> None:
    assert pointers(request(prompt=prompt), "naked") == {"/prompt"}


def test_a_plain_prompt_is_literal() -> None:
    wanted = request(prompt="(na:1.2)ked", prompt_syntax="plain")
    assert texts(wanted) == (Text("/prompt", "(na:1.2)ked"),)
    assert pointers(request(prompt="naked", prompt_syntax="plain"), "naked") == {"/prompt"}


def test_a_second_pass_with_other_calls_is_read_too() -> None:
    """Of four steps the schedule's second text has none, of a pass with 40 it has some."""
    hires = {"width": 256, "height": 256, "steps": 40, "strength": 1.0}
    assert not pointers(request(prompt="[circle:naked:30]"), "naked")
    assert pointers(request(prompt="[circle:naked:30]", hires=hires), "naked") == {"/prompt"}


def test_a_negative_prompt_is_what_is_not_drawn_but_for_weights_below_0() -> None:
    assert Text("/negative_prompt", "a naked cat", True) in texts(
        request(negative_prompt="a naked cat")
    )
    assert not pointers(request(negative_prompt="naked"), "naked")
    doubled = request(negative_prompt="ugly, (naked:-1)")
    assert Text("/negative_prompt", "naked") in texts(doubled)


@pytest.mark.parametrize(
    ("prompt", "scale", "is_drawn"),
    [
        ("a cat AND a cat :-3", 2.0, True),
        ("a cat :0.2 AND a cow :0.2", 2.0, True),
        ("a cat AND a cow :-0.4", 2.0, False),
        ("a cat", 2.0, False),
        ("a cat AND a cat :-3", 1.0, False),  # guidance is off, and with it the negative prompt
    ],
)
def test_a_negative_prompt_that_guidance_leads_to_is_to_be_drawn(
    prompt: str, scale: float, is_drawn: bool
) -> None:
    wanted = request(prompt=prompt, negative_prompt="(naked:0.9)", guidance_scale=scale)
    read = Text("/negative_prompt", "naked", is_negative=False) in texts(wanted)
    assert read == is_drawn


def test_every_keyframe_is_read() -> None:
    keyframe = {"prompt": "x", "guidance_scale": 3.0, "seed": 1}
    way = {
        "via": [{**keyframe, "prompt": "one"}, {**keyframe, "prompt": "two"}],
        "to": {**keyframe, "prompt": "last"},
    }
    wanted = request(prompt="first", n=5, interpolation=way)
    assert pointers(wanted, "first") == {"/from/prompt"}
    assert pointers(wanted, "two") == {"/via/1/prompt"}
    assert pointers(wanted, "last") == {"/to/prompt"}


def test_names_and_trigger_words_of_loras_are_read() -> None:
    lora = {"id": "swamp", "weight": 1.0, "text_encoder_weight": 1.0, "sha256": "1" * 64}
    wanted = request(loras=[{**lora, "autov3": "2" * 12}])
    file = Adapter(
        id="swamp", family="x", models=("shapes",), sha256="1" * 64, autov3="2" * 12,
        size_bytes=1, rank=1, networks=("unet",), trigger_words=("a frog", "mud"),
    )  # fmt: skip
    assert pointers(wanted, "swamp", file) == {"/loras/0/id"}
    assert pointers(wanted, "frog", file) == {"/loras/0/id"}
    assert not pointers(wanted, "frog", file.model_copy(update={"sha256": "3" * 64}))


def test_more_than_can_be_read_in_time_is_refused() -> None:
    keyframe = {"prompt": "[a|b] " + "y" * 7_900, "guidance_scale": 3.0, "seed": 1}
    way = {"via": [{**keyframe, "prompt": f"[{k}|b|c|d] " + "x" * 7_900} for k in range(8)],
           "to": keyframe}  # fmt: skip
    with pytest.raises(InvalidPrompt, match="200,000 characters"):
        texts(request(n=20, interpolation=way))
