"""Tags in prompts, and LoRAs by their ids."""

import pytest

from latentry.contracts import Adapter, GenerationRequest, PromptSyntax, WantedLora
from latentry.errors import (
    AdapterChanged,
    AdapterMismatch,
    InvalidPrompt,
    InvalidRequest,
    UnknownAdapter,
)
from latentry.rules.adapters.loras import found_loras, with_tags
from tests.latentry.ledger.factory import card


def tagged(prompt: str, **fields: object) -> GenerationRequest:
    return with_tags(GenerationRequest(prompt=prompt, **fields))


# AUTOMATIC1111's ExtraNetworkLora.activate: the text encoders' weight comes first.
@pytest.mark.parametrize(
    ("tag", "name", "weight", "text"),
    [
        ("<lora:ink>", "ink", 1.0, 1.0),
        ("<lora:ink:0.8>", "ink", 0.8, 0.8),
        ("<lora:ink:0.8:0.5>", "ink", 0.5, 0.8),
        ("<lyco:ink:-.5>", "ink", -0.5, -0.5),
        ("<lora:ink v1.2: 0.8 >", "ink v1.2", 0.8, 0.8),
        ("<lora:ink:te=0.3>", "ink", 0.3, 0.3),
        ("<lora:ink:unet=0.3>", "ink", 0.3, 1.0),
        ("<lora:ink:0.9:unet=0.3:te=0.1>", "ink", 0.3, 0.1),
        ("<lora:ink:0>", "ink", 0.0, 0.0),
        ("<lora:ink:1e-05:-2.5E+0>", "ink", -2.5, 1e-05),
    ],
)
def test_a_tag_means_what_automatic1111_takes_it_for(
    tag: str, name: str, weight: float, text: float
) -> None:
    found = tagged(f"a cat, {tag}, ink")
    assert found.prompt == "a cat, , ink"
    [lora] = found.loras
    assert (lora.id, lora.weight, lora.text_encoder_weight) == (name, weight, text)


def test_tags_come_after_the_field_in_their_order() -> None:
    found = tagged("<lora:b>a cat<lora:c:2>", loras=[{"id": "a"}])
    assert [lora.id for lora in found.loras] == ["a", "b", "c"]
    assert found.prompt == "a cat"


@pytest.mark.parametrize(
    "prompt", ["a cat", "a < b > c", "<hypernet:a:1>", "<lora>", "<lora:>", "<LORA:a>", "<lora:a"]
)
def test_what_is_no_tag_is_left(prompt: str) -> None:
    assert tagged(prompt) == GenerationRequest(prompt=prompt)


def test_in_a_plain_prompt_and_in_a_negative_one_they_are_text() -> None:
    plain = GenerationRequest(prompt="<lora:a>", prompt_syntax=PromptSyntax.PLAIN)
    negative = GenerationRequest(prompt="a cat", negative_prompt="<lora:a:1>")
    assert [with_tags(one) for one in (plain, negative)] == [plain, negative]


@pytest.mark.parametrize(
    "tag",
    [
        "<lora:a:x>", "<lora:a:1:2:3>", "<lora:a:1:dyn=4>", "<lora:a:nan>", "<lora:a:1e3>",
        "<lora:a:1e999>", "<lora:a:1e>",
        "<lora:a:11>", "<lora: :1>", "<lora:a,b>", "<lora:a:te=>", f"<lora:{'a' * 129}>",
    ],
)  # fmt: skip
def test_a_tag_that_cannot_be_followed_is_refused(tag: str) -> None:
    with pytest.raises(InvalidPrompt) as refused:
        tagged(f"a cat {tag}")
    assert list(refused.value.fields) == ["/prompt"]


def test_too_many_are_refused() -> None:
    tagged("<lora:a>" * 16)
    with pytest.raises(InvalidPrompt, match="17 LoRAs"):
        tagged("<lora:a>" * 16, loras=[{"id": "a"}])


def adapter(name: str, digit: str = "1", **fields: object) -> Adapter:
    known = {
        "family": "SD 1.x", "models": ("shapes",), "sha256": digit * 64, "autov3": digit * 12,
        "size_bytes": 1, "rank": 4, "networks": ("unet",),
    }  # fmt: skip
    return Adapter(id=name, **(known | fields))


CLOSET = [
    adapter("Ink"),
    adapter("Pen", "2"),
    adapter("pen", "3"),
    adapter("large", family="SDXL", models=("xl",)),
    adapter("other", models=(), reason="Its x finds no layer."),
]
CARD = card().model_copy(update={"family": "SD 1.x"})


def test_ids_are_matched_without_case_where_that_is_unambiguous() -> None:
    wanted = [WantedLora(id="ink", weight=0.5), WantedLora(id="pen"), WantedLora(id="Pen")]
    found = found_loras(wanted, CLOSET, CARD)
    assert [one.id for one in found] == ["Ink", "pen", "Pen"]
    assert [one.sha256[0] for one in found] == ["1", "3", "2"]
    assert (found[0].weight, found[0].text_encoder_weight) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("Inc", UnknownAdapter, "There is no adapter “Inc”; did you mean “Ink”?"),
        ("PEN", UnknownAdapter, "There is no adapter “PEN”"),
        ("large", AdapterMismatch, "“large” is for SDXL models, and shapes is of SD 1.x."),
        ("other", AdapterMismatch, "“other” does not fit the layers of shapes. Its x finds"),
    ],
)
def test_what_is_unknown_or_does_not_fit_is_refused(
    name: str, kind: type[InvalidRequest], why: str
) -> None:
    with pytest.raises(kind) as refused:
        found_loras([WantedLora(id="ink"), WantedLora(id=name)], CLOSET, CARD)
    assert refused.value.fields.keys() == {"/loras/1/id"}
    assert refused.value.message.startswith(why)


def test_a_hash_says_which_file_is_meant() -> None:
    assert found_loras([WantedLora(id="ink", sha256="1" * 64)], CLOSET, CARD)
    with pytest.raises(AdapterChanged):
        found_loras([WantedLora(id="ink", sha256="2" * 64)], CLOSET, CARD)


def test_what_was_found_can_be_sent_again() -> None:
    found = found_loras([WantedLora(id="ink", weight=-1.0)], CLOSET, CARD)
    again = GenerationRequest(prompt="", loras=[one.model_dump() for one in found])
    assert found_loras(again.loras, CLOSET, CARD) == found
