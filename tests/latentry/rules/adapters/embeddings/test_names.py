"""Where a text names embeddings, as AUTOMATIC1111, diffusers and ComfyUI have it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.rules.adapters.embeddings.names import Name, pieces
from worker.engine.conditioning.tokens import Tokenizer
from worker.engine.models import clip

IDS = (
    "EasyNegative", "bad-hands-5", "Bad Hands", "bad hands 5x", "style-", "é", "Pen", "pen", "cat",
    "cat toy", "v1.5", "don't",
)  # fmt: skip


def read(text: str, ids: tuple[str, ...] = IDS) -> str:
    """The text, with {id} where an embedding stands and {{id}} where it is marked."""
    shown = {True: "{{%s}}", False: "{%s}"}
    return "".join(
        shown[piece.is_marked] % piece.id if isinstance(piece, Name) else piece
        for piece in pieces(text, ids)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a easynegative, x", "a {EasyNegative}, x"),
        ("EASYNEGATIVE", "{EasyNegative}"),
        ("easynegatives x-easynegative.", "easynegatives x-{EasyNegative}."),
        # Word by word: what lies between does not matter, and the longest name counts.
        ("bad-hands-5, bad - HANDS-5", "{bad-hands-5}, {bad-hands-5}"),
        ("bad\n hands, bad hands 5x", "{Bad Hands}, {bad hands 5x}"),
        ("a cat  toy, cat toys", "a {cat toy}, {cat} toys"),
        # A word of CLIP's is whole: its letters, one digit, or a run of other signs.
        ("scat cats cat's cat", "scat cats {cat}'s {cat}"),
        ("style-, style- x", "style-, {style-} x"),
        ("v1.5 v1.55", "{v1.5} {v1.5}5"),
        ("I don't, do n't", "I {don't}, do n't"),
        ("e\u0301 É", "{é} {é}"),
        # Exactly as written, or else the first.
        ("pen Pen PEN", "{pen} {Pen} {Pen}"),
        ("<bad hands>< PEN ><Pen>", "{{Bad Hands}}{{Pen}}{{Pen}}"),
        ("<bad - hands>", "<bad - hands>"),
        ("<cat toy>x <dog>", "{{cat toy}}x <dog>"),
        ("<foo cat> <cat", "<foo {cat}> <{cat}"),
        ("embedding:EasyNegative, embedding:cat toy", "{{EasyNegative}}, {{cat toy}}"),
        ("Embedding:cat.pt embedding:cat.safetensors!", "{{cat}} {{cat}}!"),
        ("embedding:cat.ptx", "{{cat}}.ptx"),
        ("embedding: cat, embedding:dog", "embedding: {cat}, embedding:dog"),
        ("<embedding:cat>", "{{cat}}"),
        ("", ""),
    ],
)
def test_names_are_found(text: str, expected: str) -> None:
    assert read(text).replace("bad-  hands", "bad hands") == expected


def test_without_embeddings_a_text_is_left_as_it_is() -> None:
    assert pieces("a cat e\u0301", ()) == ("a cat e\u0301",)
    assert pieces("", ()) == ()


def test_names_are_where_automatic1111_finds_them_by_its_tokens() -> None:
    """By CLIP's real vocabulary, but for what is inside of a word there."""
    tokenizer = Tokenizer(clip.tokenizer(), 77)._encoder
    names = ("EasyNegative", "bad-hands-5", "Bad Hands", "cat toy", "v1.5", "ng_deepnegative_v1")
    own = {id: tokenizer.encode(id, add_special_tokens=False).ids for id in names}

    def by_tokens(text: str) -> list[str]:
        """find_embedding_at_position of modules/textual_inversion/textual_inversion.py."""
        ids, found, at = tokenizer.encode(text, add_special_tokens=False).ids, [], 0
        while at < len(ids):
            alike = [id for id in names if ids[at : at + len(own[id])] == own[id]]
            longest = max(alike, key=lambda id: len(own[id]), default=None)
            found += [longest] if longest else []
            at += len(own[longest]) if longest else 1
        return found

    for text in (
        "a easynegative, (bad-hands-5", "EASYNEGATIVE bad hands", "bad - hands-5 bad-hands",
        "cat toy, cats toy, cat toys, a cat\ntoy", "v1.5,v1.55 v1,5", "easynegatives",
        "NG_DeepNegative_V1, ng_deepnegative_v1_75t", "bad-hands-5x", "<easynegative>",
    ):  # fmt: skip
        named = [one.id for one in pieces(text, names) if isinstance(one, Name)]
        assert named == by_tokens(text), text


@given(
    st.text(alphabet="ab B<>:-, 'é", max_size=30),
    st.lists(st.text(alphabet="abB -'", min_size=1, max_size=5).filter(str.strip), max_size=6),
)
def test_a_prompt_means_the_same_when_only_what_it_names_is_known(
    text: str, names: list[str]
) -> None:
    """So a worker reads as the gateway did, and a recipe as its first request."""
    ids = tuple(dict.fromkeys(name.strip() for name in names))
    found = pieces(text, ids)
    used = tuple(dict.fromkeys(one.id for one in found if isinstance(one, Name)))
    assert pieces(text, used[::-1]) == (found if used else pieces(text, ()))
    assert set(used) <= set(ids)


@pytest.mark.parametrize(
    "text", ["<" * 8000, "embedding:" * 800, "cat " * 2000, "<embedding:" * 700, "< " * 4000]
)
def test_long_prompts_that_only_begin_names_are_text(text: str) -> None:
    assert pieces(text, tuple(f"cat {k}" for k in range(1000))) == (text,)
