"""What a prompt says in a syntax that is not supported is named; other text is not."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latentry.contracts import PromptSyntax
from latentry.rules.foreign_syntax import Foreign, Unread, unread


def kinds(prompt: str, **options: bool) -> dict[Foreign, str]:
    return {one.kind: one.text for one in unread(prompt, PromptSyntax.WEIGHTED, **options)}


@pytest.mark.parametrize(
    ("prompt", "kind", "text"),
    [
        ("a cat <lora:more details:0.8>, sun", Foreign.ADAPTER, "<lora:more details:0.8>"),
        ("<lyco:x:1:0.5>", Foreign.ADAPTER, "<lyco:x:1:0.5>"),
        ("<hypernet:anime:1>", Foreign.ADAPTER, "<hypernet:anime:1>"),
        ("<<lora:x>", Foreign.ADAPTER, "<lora:x>"),
        ("a <cat-toy> on a table", Foreign.EMBEDDING, "<cat-toy>"),
        ("embedding:EasyNegative.pt, blurred", Foreign.EMBEDDING, "embedding:EasyNegative.pt"),
        ("[cat:dog:fog:0.5]", Foreign.SCHEDULE, "[cat:dog:fog:0.5]"),
        ("a | b [dog:10]", Foreign.SCHEDULE, "[dog:10]"),
        ("a AND b | [cat::.5]", Foreign.SCHEDULE, "[cat::.5]"),
        ("[a:b:3] [a (b:c:3]", Foreign.SCHEDULE, "[a (b:c:3]"),
        ("[cow|horse:2]", Foreign.ALTERNATION, "[cow|horse:2]"),
        ("[16:9", Foreign.WEIGHT, ":9"),
        ("[a|b] \\", Foreign.ALTERNATION, "[a|b]"),
        ("a cat at 10:30 ", Foreign.WEIGHT, ":30"),
        ("a cat : -.5", Foreign.WEIGHT, ": -.5"),
        ("a __colour__ car", Foreign.WILDCARD, "__colour__"),
        ("__animals/wild_cats*__", Foreign.WILDCARD, "__animals/wild_cats*__"),
        ("a {red|blue} car", Foreign.VARIANT, "{red|blue}"),
        ("{2$$a|b|c}", Foreign.VARIANT, "{2$$a|b|c}"),
        ("<lora:" + "x" * 80 + ":1>", Foreign.ADAPTER, "<lora:" + "x" * 53 + "…"),
    ],
)
def test_foreign_syntax_is_found(prompt: str, kind: Foreign, text: str) -> None:
    assert kinds(prompt) == {kind: text}
    assert unread(prompt, PromptSyntax.PLAIN) == ()


@pytest.mark.parametrize(
    "prompt",
    [
        "", "a cat and a dog", "SANDY BAND", "a <3 b > c", "< lora:x >", "x < y > z", "<lora:x",
        "(a:1.2) [b] ((c)) BREAK d", "[a:b]", "16:9]", r"\[a|b\]", r"[a\:0.5\]", "a | b",
        "the embedding", "(a|b)", "snake_case __init", "_a_", "____", "__a b__", "{word}",
        "{a} | {b}", "a cat AND a dog", "a cat:1.2 AND\na dog:0.8", "[cat:dog:0.5]", "[dog:10]",
        "[cat::.5]", "[a (red:1.2) [cat]:dog: 3 ]", "a [cow|horse] in a field",
        "[(cow:1.2)|[horse]]", "[[a|b]:[c:d:2]:0.5] AND [x|y] :2", "a:b", "a:1.0",
    ],
)  # fmt: skip
def test_other_text_is_not(prompt: str) -> None:
    assert kinds(prompt) == {}


def test_each_kind_is_named_once_by_its_first_piece() -> None:
    prompt = "<lora:a:1> <lora:b:1> x | [a|b] [c|d] [e:f:3] [g:h:4] :2"
    assert unread(prompt, PromptSyntax.WEIGHTED) == (
        Unread(Foreign.ADAPTER, "<lora:a:1>"),
        Unread(Foreign.SCHEDULE, "[e:f:3]"),
        Unread(Foreign.ALTERNATION, "[a|b]"),
        Unread(Foreign.WEIGHT, ":2"),
    )


def test_a_negative_prompt_has_no_composition_and_so_no_weight() -> None:
    assert kinds("a AND <lora:b:1> :2", is_negative=True) == {Foreign.ADAPTER: "<lora:b:1>"}


@given(st.text(alphabet="<>[]|{}_:\\ aA0.", max_size=60))
@example("[" * 30 + "|" + "]" * 30)
def test_every_prompt_is_read_and_what_is_named_stands_in_it(prompt: str) -> None:
    for one in unread(prompt, PromptSyntax.WEIGHTED):
        assert re.sub(r"\s+", "", one.text) in re.sub(r"\s+", "", prompt) or one.text[-1] == "…"


def test_wildcards_and_variants_are_drawn_with_another_syntax() -> None:
    found = unread("{a|b} __c__ <lora:d:1>", PromptSyntax.WEIGHTED)
    assert {one.text: one.remedy for one in found} == {
        "{a|b}": "set prompt_syntax to dynamic",
        "__c__": "set prompt_syntax to dynamic",
        "<lora:d:1>": "remove it",
    }
