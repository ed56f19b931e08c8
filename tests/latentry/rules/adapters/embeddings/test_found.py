"""The embeddings that a request's prompts name, in the catalogue."""

from typing import Any

import pytest

from latentry.contracts import Adapter, AdapterKind, PromptSyntax, ResolvedRequest, WantedEmbedding
from latentry.errors import (
    AdapterChanged,
    AdapterMismatch,
    InvalidPrompt,
    InvalidRequest,
    UnknownAdapter,
)
from latentry.rules.adapters.embeddings.found import found_embeddings
from tests.latentry.contracts.resolved import RESOLVED
from tests.latentry.ledger.factory import card


def adapter(name: str, **fields: Any) -> Adapter:
    known = {
        "kind": AdapterKind.EMBEDDING, "family": "SD 1.x", "models": ("shapes", "refiner"),
        "sha256": name[0] * 64, "autov3": "", "size_bytes": 1, "vectors": len(name),
        "networks": ("text_encoder",),
    }  # fmt: skip
    return Adapter(id=name, **(known | fields))


CLOSET = [
    adapter("Bad Hands"),
    adapter("cat"),
    adapter("dog", models=("shapes",)),
    adapter("large", family="SDXL", models=("xl",)),
    adapter("other", models=(), reason="Its vectors have 3 numbers."),
    adapter("old", family="", models=(), reason="It is a pickle."),
    adapter("ink", kind=AdapterKind.LORA),
]
CARD = card().model_copy(update={"family": "SD 1.x"})


def found(
    prompt: str, wanted: list[WantedEmbedding] | None = None, **fields: Any
) -> list[tuple[str, str, int]]:
    request = ResolvedRequest(**(dict(RESOLVED) | {"prompt": prompt} | fields))
    used = found_embeddings(request, wanted, CLOSET, CARD)
    return [(one.id, one.sha256[0], one.vectors) for one in used]


CAT, DOG, HANDS = ("cat", "c", 3), ("dog", "d", 3), ("Bad Hands", "B", 9)


@pytest.mark.parametrize(
    ("prompt", "fields", "expected"),
    [
        ("a frog", {}, []),
        ("a cat, <dog>", {"negative_prompt": "(bad hands:1.4)"}, [HANDS, CAT, DOG]),
        ("[frog:cat:0.5] AND [a|b|dog]", {}, [CAT, DOG]),
        ("[frog:cat:20]", {"num_inference_steps": 5}, []),  # it never comes
        ("[[cat]]", {"guidance_scale": 1.0, "negative_prompt": "dog"}, [CAT, DOG]),
        # Another text after its schedule, or a weight between, is another name.
        ("bad [hands:feet:0.5]", {}, [HANDS]),
        ("bad (hands:1.2)", {}, []),
        ("a large other ink old frog", {}, []),  # bare names of what does not fit are text
        ("<ink>, <frog>", {}, []),
        ("a cat, <dog>, embedding:dog", {"prompt_syntax": PromptSyntax.PLAIN}, []),
        ("a cat", {"refiner": "refiner"}, [CAT]),
        ("a dog", {"refiner": "refiner"}, []),
    ],
)
def test_what_stands_in_a_prompt_at_some_call_is_found(
    prompt: str, fields: dict[str, Any], expected: list
) -> None:
    assert found(prompt, **fields) == expected


def test_a_second_pass_may_name_others() -> None:
    hires = {"width": 256, "height": 192, "steps": 20, "strength": 1.0}
    assert found("[frog:cat:15]", num_inference_steps=5, hires=hires) == [CAT]


def test_a_list_says_which_may_be_named() -> None:
    cat, frog = WantedEmbedding(id="CAT"), WantedEmbedding(id="frog")
    assert found("a cat, a dog", [cat]) == [CAT]
    assert found("a cat, <dog>, <large>", []) == []
    assert found("a frog", [cat]) == []
    plain = {"prompt_syntax": PromptSyntax.PLAIN}
    assert found("a cat, (dog:1.2", [cat, WantedEmbedding(id="dog")], **plain) == [CAT, DOG]
    with pytest.raises(UnknownAdapter) as unknown:
        found("a frog", [cat, frog, WantedEmbedding(id="large")])
    assert unknown.value.fields.keys() == {"/embeddings/1/id", "/embeddings/2/id"}
    with pytest.raises(AdapterMismatch, match="“ink” is a LoRA, not an embedding"):
        found("a frog", [WantedEmbedding(id="ink")])
    with pytest.raises(AdapterMismatch, match="“dog” does not fit the refiner"):
        found("a frog", [WantedEmbedding(id="dog")], refiner="refiner")


def test_a_hash_says_which_file_is_meant() -> None:
    assert found("a cat", [WantedEmbedding(id="cat", sha256="c" * 64, vectors=3)]) == [CAT]
    with pytest.raises(AdapterChanged) as changed:
        found("a cat", [WantedEmbedding(id="cat", sha256="d" * 64)])
    assert changed.value.fields.keys() == {"/embeddings/0/id"}


@pytest.mark.parametrize(
    ("prompt", "fields", "why"),
    [
        ("<Large>", {}, "“large” is for SDXL models, and shapes is of SD 1.x."),
        ("a (embedding:large:1.2)", {}, "“large” is for SDXL models"),
        ("<other>", {}, "“other” does not fit the layers of shapes. Its vectors have 3 numbers."),
        ("<old>", {}, "“old” cannot be used. It is a pickle."),
        ("[a|<dog>]", {"refiner": "refiner"}, "“dog” does not fit the refiner."),
    ],
)
def test_one_in_brackets_that_does_not_fit_is_refused(
    prompt: str, fields: dict[str, Any], why: str
) -> None:
    for at in ("/prompt", "/negative_prompt"):
        both = {"prompt": "a frog", at[1:]: prompt}
        with pytest.raises(AdapterMismatch) as refused:
            found(both.pop("prompt"), **both, **fields)
        assert refused.value.message.startswith(why)
        assert refused.value.fields.keys() == {at}


def test_a_prompt_that_names_very_many_is_refused() -> None:
    many = [adapter(f"{chr(97 + k // 26)}{chr(97 + k % 26)}x") for k in range(65)]
    prompt = " ".join(one.id for one in many)

    def used(count: int) -> int:
        request = RESOLVED.model_copy(update={"prompt": prompt})
        return len(found_embeddings(request, None, many[:count], CARD))

    assert used(64) == 64
    with pytest.raises(InvalidPrompt, match="more than 64") as refused:
        used(65)
    assert isinstance(refused.value, InvalidRequest)
    assert refused.value.fields.keys() == {"/prompt"}
