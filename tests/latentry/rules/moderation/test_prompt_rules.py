"""What a rule finds: words, phrases, patterns, exceptions; and whose requests it is for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.rules.moderation.folding import readings
from latentry.rules.moderation.prompt_rules import PromptAction, PromptRule
from latentry.rules.moderation.rulebook import Rulebook
from latentry.rules.moderation.scope import Scope
from latentry.rules.moderation.texts import Text


def rule(**fields: object) -> PromptRule:
    return PromptRule(**({"name": "r", "action": PromptAction.REFUSE, "reason": "No."} | fields))


def finds(one: PromptRule, text: str) -> bool:
    return any(map(one.finds, readings(text)))


@pytest.mark.parametrize("text", ["a frog", "FROG", "two: frog/toad", "tree-frog", "f r o g"])
def test_a_word_is_found(text: str) -> None:
    assert finds(rule(words=["Frog"]), text)


@pytest.mark.parametrize("text", ["", "frogs", "bullfrog", "fr og"])
def test_only_whole_words_are(text: str) -> None:
    assert not finds(rule(words=["frog"]), text)


def test_a_phrase_is_found_however_it_is_spaced() -> None:
    one = rule(words=["Kermit the Frog", "t-shirt"])
    assert finds(one, "kermit,\n THE  frog")
    assert finds(one, "a t shirt")
    assert finds(one, "a TShirt")
    assert not finds(one, "kermit a frog")


def test_a_pattern_is_found_in_the_folded_text() -> None:
    one = rule(patterns=[re.compile(r"\bfrogs?\b")])
    assert finds(one, "FRÖGS!")
    assert not finds(one, "frogging")


def test_exceptions_are_cut_out_and_join_nothing() -> None:
    one = rule(words=["frog", "red circle"], exceptions=["frog green", "blue"])
    assert not finds(one, "a wall in FROG-green")
    assert finds(one, "a frog-green frog")
    assert not finds(one, "red blue circle"), "what stood apart stays apart"
    assert not finds(rule(patterns=[re.compile("frog")], exceptions=["leapfrog"]), "leapfrog")


def test_the_longest_exception_counts() -> None:
    one = rule(words=["frog"], exceptions=["poison", "poison dart frog"])
    assert not finds(one, "poison dart frog")


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        (Scope(), {"a", "b"}),
        (Scope(frozenset({"a"})), {"a"}),
        (Scope(except_tenants=frozenset({"a"})), {"b"}),
        (Scope(frozenset({"a"}), frozenset({"a"})), set()),
    ],
)
def test_a_rule_is_for_its_tenants(scope: Scope, covers: set[str]) -> None:
    book = Rulebook((rule(words=["frog"], scope=scope),))
    read = [Text("/prompt", "a frog")]
    assert {tenant for tenant in ("a", "b") if book.found(read, tenant)} == covers


def test_less_moderation_is_without_relaxed_rules_alone() -> None:
    relaxed = rule(name="mild", words=["frog"], scope=Scope(is_relaxed=True))
    book = Rulebook((relaxed, rule(name="firm", words=["frog"])))
    read = [Text("/prompt", "a frog")]
    assert [one.rule.name for one in book.found(read, "a", is_low=True)] == ["firm"]
    assert [one.rule.name for one in book.found(read, "a")] == ["mild", "firm"]


def test_negative_prompts_are_read_by_rules_that_say_so() -> None:
    read = [Text("/negative_prompt", "a frog", is_negative=True), Text("/via/0/prompt", "frog")]
    [found] = Rulebook((rule(words=["frog"]),)).found(read, "a")
    assert found.pointer == "/via/0/prompt"
    [found] = Rulebook((rule(words=["frog"], reads_negative=True),)).found(read, "a")
    assert found.pointer == "/negative_prompt"


WORDS = st.lists(st.sampled_from(["frog", "red frog", "frog red", "a", "r3d", "pond"]), max_size=3)
PATTERNS = st.lists(st.sampled_from([r"\bpo", "d fr", r"^a\b", "g$", "[^a-z ]"]), max_size=2)
TEXTS = st.text(st.sampled_from("afrogedpn3 .-"), max_size=30) | st.lists(
    st.sampled_from(["frog", "red", "pond", "a", "FR0G", "r-e-d", "f r o g"]), max_size=6
).map(" ".join)


@given(st.lists(st.tuples(WORDS, PATTERNS, WORDS), max_size=4), st.lists(TEXTS, max_size=3))
def test_many_rules_at_once_find_what_each_finds_by_itself(rules, texts) -> None:
    made = [
        rule(name=f"r{k}", words=words, patterns=[*map(re.compile, patterns)], exceptions=cut)
        for k, (words, patterns, cut) in enumerate(rules)
    ]
    every = "|".join(f"(?:{one})" for _, patterns, _ in rules for one in patterns)
    book = Rulebook(tuple(made), any_pattern=re.compile(every or "(?!)"))
    found = book.found([Text(f"/{k}", text) for k, text in enumerate(texts)], "a")
    expected = {}
    for one in made:
        for number, text in enumerate(texts):
            if finds(one, text):
                expected.setdefault(one.name, f"/{number}")
    assert {one.rule.name: one.pointer for one in found} == expected


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    for reading in readings(text):
        assert reading == " ".join(reading.split())
    assert readings(text) == readings(text)
