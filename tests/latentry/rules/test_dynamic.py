"""Dynamic prompts: what may come out, that it is always the same, and that it ends."""

from random import Random

import pytest

from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.errors import InvalidPrompt
from latentry.rules.dynamic import drawn

WILDCARDS = {
    "colours": ("red", "blue", "green"),
    "c/warm": ("red", "orange"),
    "c/cold": ("blue",),
    "nested": ("a __colours__ x", "{one|two}"),
    "loop": ("__loop__",),
    "wide": ("__wide__ __wide__",),
}
LOTS = range(300)

# All that dynamicprompts 0.31's RandomPromptGenerator made of each, in 150 drawings.
AS_THE_LIBRARY = {
    "{ a | b }x": {"a x", "b x"},
    "x {a|b} y": {"x a y", "x b y"},
    "{2$$a|b|c}": {"a,b", "a,c", "b,a", "b,c", "c,a", "c,b"},
    "{2$$ and $$a|b}": {"a and b", "b and a"},
    "{1-2$$a|b}": {"a", "b", "a,b", "b,a"},
    "{-2$$a|b}": {"a", "b", "a,b", "b,a"},
    "{2-$$a|b}": {"a,b", "b,a"},
    "{0-1$$a|b}": {"", "a", "b"},
    "{1-2$$ | $$a|b}": {"a", "b", "a | b", "b | a"},
    "{5$$a|b}": {"a,b", "b,a"},
    "{0::a|b}": {"b"},
    "{0.5::a|1::b}": {"a", "b"},
    "__colours__ z": {"red z", "blue z", "green z"},
    "__c/*__": {"red", "orange", "blue"},
    "{2$$__c/warm__}": {"red,orange", "orange,red"},
    "{2$$__c/cold__|x}": {"blue,x", "x,blue"},
    "__nested__": {"a red x", "a blue x", "a green x", "one", "two"},
    "{a|}": {"a", ""},
    "{a}": {"a"},
    "{~a|b}": {"a", "b"},
    "{{a|b}|c} d": {"a d", "b d", "c d"},
    "{a b|c, d}": {"a b", "c, d"},
    "(a:1.3) [a|b] $5 50% }": {"(a:1.3) [a|b] $5 50% }"},
}


def draw(text: str, seed: int, name: str = "prompt") -> str:
    return drawn(text, WILDCARDS, seed=seed, name=name)


@pytest.mark.parametrize("text", AS_THE_LIBRARY)
def test_what_may_be_drawn_is_what_dynamicprompts_draws(text: str) -> None:
    assert {draw(text, seed) for seed in LOTS} == AS_THE_LIBRARY[text]


def test_a_seed_always_draws_the_same_and_each_field_its_own() -> None:
    text = "{a|b|c|d} __colours__ {2$$x|y|z}"
    assert draw(text, 7) == "d green y,x"
    assert [draw(text, seed) for seed in LOTS] == [draw(text, seed) for seed in LOTS]
    assert any(draw(text, seed) != draw(text, seed, "negative_prompt") for seed in LOTS)


def test_weights_are_odds() -> None:
    found = [draw("{3::a|b}", seed) for seed in range(2_000)]
    assert 0.70 < found.count("a") / len(found) < 0.80
    plain = [draw("{a|b|c}", seed) for seed in range(3_000)]
    assert all(0.28 < plain.count(one) / len(plain) < 0.39 for one in "abc")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a {red|blue", "never closed"),
        ("{0::a|0::b}", "All weights"),
        ("${x=red}", r"variables, `\$\{…\}`, are not supported"),
        ("%{a$$b}", "wrappers"),
        ("{@a|b}", "samplers other than random, `@`, are"),
        ("__!colours__", "samplers other than random, `!`, are"),
        ("a /* b */", "comments"),
        ("a\n# b", "comments"),
        ("a // b", "comments"),
        ("__colours(x=1)__", "no name of a wildcard"),
        ("__{colours|nested}__", "no name of a wildcard"),
        ("__colors__", "no wildcard __colors__; did you mean “colours”"),
        ("__z*__", r"no wildcard __z\*__"),
        ("{" * 17 + "a" + "}" * 17, "nested deeper than 16"),
        ("__loop__", "lead to each other more than 16 times"),
        ("__wide__", "lead to each other|takes too long"),
        ("{100$$" + "|".join("ab" * 1_200) + "}", "takes too long"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(InvalidPrompt, match=why) as caught:
        draw(text, 1, "negative_prompt")
    assert caught.value.fields == {"/negative_prompt": caught.value.message}


def test_what_is_drawn_is_no_longer_than_a_prompt() -> None:
    text = "__long__" * 3
    with pytest.raises(InvalidPrompt, match="longer than"):
        drawn(text, {"long": ("a" * (MAX_PROMPT_CHARS // 2),)}, seed=0, name="prompt")


def test_whatever_is_written_ends_in_a_text_or_an_invalid_prompt() -> None:
    """Texts of the syntax's own signs, as long as a prompt may be; work is counted, not timed."""
    chance, refused = Random(0), 0
    signs = ["{", "}", "|", "$$", "__", "::", "2", "-", "~", " ", "a", "__colours__", "{a|", "}"]
    for seed in range(300):
        text = "".join(chance.choices(signs, k=chance.choice([5, 20, 2_000])))[:MAX_PROMPT_CHARS]
        try:
            assert isinstance(draw(text, seed), str)
        except InvalidPrompt:
            refused += 1
    assert 0 < refused < 300
