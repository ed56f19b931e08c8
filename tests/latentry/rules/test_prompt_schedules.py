"""Prompts that depend on the call: as AUTOMATIC1111 reads them, of which webui.py is the model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS, MAX_STEPS
from latentry.rules.prompt_schedules import MAX_SWITCHES, MAX_TEXTS, switch_count, texts_by_call
from latentry.rules.switches import parse
from tests.latentry.rules import webui

# What the docstring of AUTOMATIC1111's parser says of 10 steps.
PUBLISHED = [
    ("test", [[10, "test"]]),
    ("a [b:3]", [[3, "a "], [10, "a b"]]),
    ("a [b: 3]", [[3, "a "], [10, "a b"]]),
    ("a [[[b]]:2]", [[2, "a "], [10, "a [[b]]"]]),
    ("[(a:2):3]", [[3, ""], [10, "(a:2)"]]),
    ("a [b : c : 1] d", [[1, "a b  d"], [10, "a  c  d"]]),
    ("a[b:[c:d:2]:1]e", [[1, "abe"], [2, "ace"], [10, "ade"]]),
    ("a [unbalanced", [[10, "a [unbalanced"]]),
    ("a [b:.5] c", [[5, "a  c"], [10, "a b c"]]),
    ("((a][:b:c [d:3]", [[3, "((a][:b:c "], [10, "((a][:b:c d"]]),
    ("[a|(b:1.1)]", [[step, "a" if step % 2 else "(b:1.1)"] for step in range(1, 11)]),
    ("[fe|]male", [[step, "female" if step % 2 else "male"] for step in range(1, 11)]),
    ("[fe|||]male", [[step, "female" if step % 4 == 1 else "male"] for step in range(1, 11)]),
]  # fmt: skip
# What else the grammar and the code say, found by running them.
MEASURED = [
    ("[a::0.5]", [[5, "a"], [10, ""]]),
    ("[:b:5]", [[5, ""], [10, "b"]]),
    ("[a:b:1.0]", [[10, "a"]]),
    ("[a:b:1]", [[1, "a"], [10, "b"]]),
    ("[a:b:0]", [[10, "b"]]),
    ("[a:b:-1]", [[10, "b"]]),
    ("[a:b:5e-1]", [[10, "b"]]),
    ("[a:b:99]", [[10, "a"]]),
    ("[a:b:c:3]", [[10, "[a:b:c:3]"]]),
    ("[a:b]", [[10, "[a:b]"]]),
    ("[[a:b:3]", [[3, "[a"], [10, "[b"]]),
    ("[a (b:c:3]", [[10, "[a (b:c:3]"]]),
    ("(a [b) c:3]", [[10, "(a [b) c:3]"]]),
    ("[a:b:3] | c", [[10, "[a:b:3] | c"]]),
    ("[x|y:3]", [[10, "[x|y:3]"]]),
    (r"\[a:b:3] [a\|b]", [[10, r"\[a:b:3] [a\|b]"]]),
    (r"[a\:1:b\]:3]", [[3, r"a\:1"], [10, r"b\]"]]),
    ("[a:b:3] \\", [[10, "[a:b:3] \\"]]),
    ("[a:b BREAK c:3]", [[3, "a"], [10, "b BREAK c"]]),
    ("([a:b:3]:1.2) [[c]:2]", [[2, "(a:1.2) "], [3, "(a:1.2) [c]"], [10, "(b:1.2) [c]"]]),
]


@pytest.mark.parametrize(("prompt", "schedule"), PUBLISHED + MEASURED)
def test_a_prompt_has_the_texts_that_automatic1111_gives_it(
    prompt: str, schedule: list[list[object]]
) -> None:
    assert webui.schedule(prompt, 10) == schedule
    expected = [next(text for end, text in schedule if call <= end) for call in range(11)]
    assert list(texts_by_call(prompt, 10)) == expected


def test_the_first_text_has_one_call_more_than_is_written() -> None:
    """There calls count from 0, and the ends of texts from 1."""
    assert texts_by_call("[a:b:0.5]", 4) == ("a", "a", "a", "b", "b")
    assert texts_by_call("[a|b]", 4) == ("a", "a", "b", "a", "b")


PIECES = st.lists(
    st.sampled_from([*"[]():|ab3 ", "\\", ".5", "[a:b:3]", "[c|d]", "(x:1.2)", ":2]", "\n", "[::"]),
    max_size=14,
).map("".join)


@given(PIECES, st.sampled_from([1, 2, 5]))
@settings(max_examples=400)
def test_every_prompt_is_read_as_by_the_plain_implementation(prompt: str, calls: int) -> None:
    expected = [webui.text_at(prompt, calls, call) for call in range(calls + 1)]
    assert list(texts_by_call(prompt, calls)) == expected


def test_what_a_caller_can_make_of_it_is_bounded() -> None:
    many = "[a|b|c|d|e]" * 8 + "[a|b|c]" * 8 + "[a|b|c|d|e|f|g]" * 8
    texts = texts_by_call(many, 2 * MAX_STEPS)
    assert len(set(texts)) == MAX_TEXTS + 1
    assert switch_count("[a:3]" * 40) == 40 > MAX_SWITCHES
    assert set(texts_by_call("[a:3]" * 40, 10)) == {"[a:3]" * 40}


@pytest.mark.parametrize(
    "prompt",
    ["[" * MAX_PROMPT_CHARS, "[" * 4_000 + "]" * 4_000, "[a:" * 1_500 + ":1]" * 1_500,
     "(" * 4_000 + "a" + ")" * 4_000, "[|" * 2_000 + "]" * 2_000, "\\" * MAX_PROMPT_CHARS],
    ids=["open", "nested", "schedules", "emphases", "alternations", "escapes"],
)  # fmt: skip
def test_no_depth_is_too_deep(prompt: str) -> None:
    assert parse(prompt)
    assert texts_by_call(prompt, 10)
