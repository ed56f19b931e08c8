"""AND: which parts a prompt has, what they may be, and what they cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.contracts import PromptSyntax
from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.errors import InvalidPrompt
from latentry.rules.compositions import MAX_PARTS, Part, parts
from latentry.rules.limits import refuse_unsupported
from latentry.rules.pricing import price
from latentry.rules.prompt_rows import prompt_rows
from latentry.rules.prompt_schedules import MAX_SWITCHES, MAX_TEXTS
from tests.latentry.ledger.factory import card, request
from tests.latentry.rules import webui


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat AND a dog :0.7", [("a cat", 1), (" a dog", 0.7)]),
        ("a cat:1.2 AND a dog AND fog :-2", [("a cat", 1.2), (" a dog", 1), (" fog", -2)]),
        ("a AND (b:1.2)", [("a", 1), (" (b:1.2)", 1)]),
        ("(a AND b:1.2)", [("(a", 1), (" b:1.2)", 1)]),
        ("AND a", [("", 1), (" a", 1)]),
        ("a AND a", [("a", 1), (" a", 1)]),
        ("a\nb : +.5 \nAND c:2.", [("a\nb", 0.5), (" c", 2)]),
        ("a :: 3 AND b", [("a :", 3), (" b", 1)]),
        ("a :1e3 AND b", [("a :1e3", 1), (" b", 1)]),
        ("SAND ANDY and", [("SAND ANDY and", 1)]),
        ("a clock at 10:30", [("a clock at 10:30", 1)]),
    ],
)
def test_a_prompt_is_divided_where_automatic1111_divides_it(
    prompt: str, expected: list[tuple[str, float]]
) -> None:
    assert parts(prompt, PromptSyntax.WEIGHTED) == tuple(Part(*one) for one in expected)
    assert parts(prompt, PromptSyntax.PLAIN) == (Part(prompt),)
    if len(expected) > 1:
        assert list(webui.composition(prompt)) == expected


SIGNS = [" AND ", "a", ":", " ", ".5", "-", "3", "\n", "."]


@given(st.lists(st.sampled_from(SIGNS), max_size=12).map("".join))
def test_every_prompt_is_divided_as_by_the_plain_implementation(prompt: str) -> None:
    divided = parts(prompt, PromptSyntax.WEIGHTED)
    if len(divided) > 1:
        assert [(one.text, one.weight) for one in divided] == list(webui.composition(prompt))


def texts(**fields: Any) -> list[tuple[str, ...]]:
    given = {"num_inference_steps": 4, "guidance_scale": 5.0}
    return [row.texts for row in prompt_rows(request(**(given | fields)))]


def test_a_row_for_the_negative_prompt_and_one_for_each_part() -> None:
    given = {"prompt": "[a:b:1] AND c", "negative_prompt": "x AND [y|z]"}
    negative, first, second = texts(**given)
    assert negative == ("x AND y", "x AND y", "x AND z", "x AND y", "x AND z")
    assert first == ("a", "a", "b", "b", "b")
    assert second == (" c",) * 5
    assert texts(**given, guidance_scale=1.0) == [first, second]
    assert texts(**given, prompt_syntax="plain") == [("x AND [y|z]",), ("[a:b:1] AND c",)]


def test_schedules_count_calls_of_which_some_samplers_make_two_a_step() -> None:
    (one,) = texts(prompt="[a:b:0.5]", sampler="euler", guidance_scale=1.0)
    (two,) = texts(prompt="[a:b:0.5]", sampler="heun", guidance_scale=1.0)
    assert (one.count("a"), len(one)) == (3, 5)
    assert (two.count("a"), len(two)) == (5, 9)
    for sampler in ("dpm2", "dpm2_a"):
        assert texts(prompt="[a:b:0.5]", sampler=sampler, guidance_scale=1.0) == [two]


def refusal(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidPrompt) as caught:
        refuse_unsupported(card(), request(**fields))
    return dict(caught.value.fields)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("a" + " AND a" * (MAX_PARTS - 1), "a" + " AND a" * MAX_PARTS, f"{MAX_PARTS} prompts"),
        ("[a:9]" * MAX_SWITCHES, "[a:9]" * (MAX_SWITCHES + 1), f"than {MAX_SWITCHES} schedules"),
        ("[a|b|c|d][e|f|g]", "[a|b|c|d|e][f|g|h|i]", f"than {MAX_TEXTS} texts"),
        ("a :10 AND b", "a :10.1 AND b", "A weight is above 10"),
        ("[a:(b:10):3]", "[a:(b:10.1):3]", "A weight is above 10"),
    ],
)  # fmt: skip
def test_what_asks_for_too_much_is_refused_by_name(good: str, bad: str, said: str) -> None:
    assert texts(prompt=good, num_inference_steps=50)
    refuse_unsupported(card(), request(prompt=good, num_inference_steps=50))
    found = refusal(prompt=bad, num_inference_steps=50)
    assert found.keys() == {"/prompt"}
    assert said in found["/prompt"]
    refuse_unsupported(card(), request(prompt=bad, prompt_syntax="plain"))


def test_the_negative_prompt_is_refused_as_the_prompt_is_but_for_and() -> None:
    assert refusal(negative_prompt="[a:(b:11):1]").keys() == {"/negative_prompt"}
    assert refusal(negative_prompt="[a:9]" * 33, prompt="[a:9]" * 33).keys() == {
        "/prompt",
        "/negative_prompt",
    }
    refuse_unsupported(card(), request(negative_prompt=" AND ".join("a" * 20)))


def test_strict_calls_have_rows_for_all_parts_or_the_request_is_refused() -> None:
    small = card().model_copy(
        update={"limits": card().limits.model_copy(update={"strict_rows": 3})}
    )
    strict = {"determinism": "strict", "guidance_scale": 5.0}
    refuse_unsupported(small, request(prompt="a AND b", **strict))
    refuse_unsupported(small, request(prompt="a AND b AND c", guidance_scale=5.0))
    refuse_unsupported(small, request(prompt="a AND b AND c", **(strict | {"guidance_scale": 1.0})))
    with pytest.raises(InvalidPrompt, match="takes 4 rows"):
        refuse_unsupported(small, request(prompt="a AND b AND c", **strict))


def test_each_part_costs_a_row() -> None:
    def work(**fields: Any) -> float:
        return price(request(num_inference_steps=10, **fields), card()).step_megapixels

    unit = work(guidance_scale=1.0)
    assert work(guidance_scale=1.0, prompt="a AND b") == pytest.approx(2 * unit, abs=1e-5)
    assert work(guidance_scale=5.0, prompt="a AND b AND c") == pytest.approx(4 * unit, abs=1e-5)
    half = work(guidance_scale=5.0, guidance_stop=0.5, prompt="a AND b")
    assert half == pytest.approx(2.5 * unit, abs=1e-5)
    plain = work(guidance_scale=5.0, prompt="a AND b", prompt_syntax="plain")
    assert plain == pytest.approx(2 * unit, abs=1e-5)


@pytest.mark.parametrize("piece", ["AND ", "AND:", " :1 AND ", "\n", "["])
def test_long_prompts_are_divided(piece: str) -> None:
    assert parts((piece * MAX_PROMPT_CHARS)[:MAX_PROMPT_CHARS], PromptSyntax.WEIGHTED)
