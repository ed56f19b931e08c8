"""The syntax of prompts: AUTOMATIC1111's documented cases, and whatever else may be typed."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latentry.contracts import PromptSyntax
from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.rules.prompts import _TOKEN, MAX_WEIGHT, Phrase, is_bounded, parse


def said(prompt: str) -> list[list[tuple[str, object]]]:
    return [
        [(phrase.text, pytest.approx(phrase.weight)) for phrase in segment]
        for segment in parse(prompt, PromptSyntax.WEIGHTED)
    ]


@pytest.mark.parametrize(
    ("prompt", "phrases"),
    [
        # The cases of parse_prompt_attention's own documentation.
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
        # And of its regular expression.
        ("", []),
        ("()[]", []),
        (r"a\\b", [("a\\b", 1.0)]),
        (r"a\b", [("ab", 1.0)]),
        ("a) b]", [("a) b]", 1.0)]),
        ("16:9", [("16:9", 1.0)]),
        ("16:9)", [("16:9)", 1.0)]),
        ("[a:1.3]", [("a:1.3", 1 / 1.1)]),
        ("(a: 1.3 )", [("a", 1.3)]),
        ("(a:-.5)", [("a", -0.5)]),
        ("(a:+2.)", [("a", 2.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
        ("[[a", [("a", 1 / 1.21)]),
        # There, this ends in an exception.
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
    ],
)
def test_weights_are_read_as_automatic1111_documents(
    prompt: str, phrases: list[tuple[str, float]]
) -> None:
    assert said(prompt) == [phrases]


def test_a_break_ends_a_segment_wherever_it_stands() -> None:
    assert said("a BREAK(b BREAK c:2)BREAK") == [
        [("a ", 1.0)],
        [("b ", 2.0)],
        [(" c", 2.0)],
        [],
    ]
    assert said("BREAKFAST BREAK_IN") == [[("BREAKFAST BREAK_IN", 1.0)]]


def test_a_plain_prompt_is_taken_literally() -> None:
    prompt = r"(a:99) BREAK \[b"
    assert parse(prompt, PromptSyntax.PLAIN) == ((Phrase(prompt),),)
    assert is_bounded(prompt, PromptSyntax.PLAIN)
    assert not is_bounded(prompt, PromptSyntax.WEIGHTED)


def test_weights_have_bounds_on_both_sides() -> None:
    for weight, fits in [("10", True), ("-10", True), ("10.1", False), ("-11", False)]:
        assert is_bounded(f"a (b:{weight})", PromptSyntax.WEIGHTED) is fits
    assert not is_bounded("(" * MAX_PROMPT_CHARS + "a", PromptSyntax.WEIGHTED)
    assert not is_bounded("(a:" + "9" * 400 + ")", PromptSyntax.WEIGHTED)
    assert not is_bounded("(" * 8_000 + "(a:0)", PromptSyntax.WEIGHTED), "0 times infinity"
    assert is_bounded("[" * MAX_PROMPT_CHARS + "a", PromptSyntax.WEIGHTED)


pieces = st.sampled_from(
    ["(", ")", "[", "]", "\\", ":", ":1.3)", ": 1e9)", ":.)", ":nan)", "BREAK", " ", "a", "é", "1"]
)
prompts = st.one_of(st.text(max_size=60), st.lists(pieces, max_size=60).map("".join))


@given(prompts)
@example("(" * MAX_PROMPT_CHARS)
def test_every_prompt_is_valid(prompt: str) -> None:
    segments = parse(prompt, PromptSyntax.WEIGHTED)
    phrases = [phrase for segment in segments for phrase in segment]
    assert segments
    assert all(phrase.text for phrase in phrases)
    bounded = all(
        math.isfinite(phrase.weight) and abs(phrase.weight) <= MAX_WEIGHT for phrase in phrases
    )
    assert is_bounded(prompt, PromptSyntax.WEIGHTED) <= bounded
    assert is_bounded(prompt, PromptSyntax.WEIGHTED) is bounded or "BREAK" in prompt


@given(st.text(max_size=60))
def test_escaped_text_is_unescaped_to_the_same(text: str) -> None:
    text = text.replace("BREAK", "")
    escaped = "".join("\\" + c if c in "()[]\\" else c for c in text)
    assert "".join(p.text for s in parse(escaped, PromptSyntax.WEIGHTED) for p in s) == text


@given(prompts, st.floats(0.1, 3).map(lambda weight: round(weight, 3)))
def test_brackets_around_a_balanced_prompt_multiply_all_of_it(prompt: str, weight: float) -> None:
    inner = "".join(c for c in prompt if c not in "()[]\\:")
    for (before,), (after,) in zip(
        [segment for segment in said(inner) if segment],
        [segment for segment in said(f"({inner}:{weight})") if segment],
        strict=True,
    ):
        assert after[0] == before[0]
        assert after[1] == weight


def test_reading_takes_time_in_proportion_to_length() -> None:
    # A failed match would try every way to share out a run of characters between greedy repeats.
    # So all of them are possessive, but for the last one: nothing follows it that could fail.
    *earlier, last = re.sub(r"\[(?:\\.|[^\]\\])*\]", "C", _TOKEN.pattern).split("|")
    repeats = re.findall(r"[*+]+", "".join(earlier))
    assert repeats
    assert set(repeats) <= {"*+", "++"}
    assert last.strip() == "C+"
