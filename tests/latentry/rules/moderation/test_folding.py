"""How texts are read for rules: case, spacing, punctuation, look-alikes; in bounded time."""

import pytest

from latentry.contracts.fields.bounds import MAX_PROMPT_CHARS
from latentry.rules.moderation.folding import fold, readings


def reads(text: str, word: str) -> bool:
    return any(word in way.split() for way in readings(text))


@pytest.mark.parametrize(
    "text",
    [
        *("frog", "FROG", "a Frog, green", "(frog)", "frog!", "…frog…"),
        *("f r o g", "a f r o g", "F.R.O.G.", "f-r-o-g", "fr-og", "f_rog", "fr'og"),
        *("fr\u00adog", "fr\u200bog", "f\u2060r\u2060o\u2060g", "fr\u3164og", "\u202efrog"),
        *("frög", "f̶r̶o̶g̶", "f\u0301rog", "fróg"),
        *("frоg", "ｆｒｏｇ", "𝐟𝐫𝐨𝐠", "ⓕⓡⓞⓖ", "ḟrog", "frøg", "ꓝꓣꓳꓖ", "ꜰʀᴏɢ", "🅵🆁🅾🅶", "🅕🅡🅞🅖"),
        *("fr0g", "FR0G", "a fr0g."),
    ],
)  # fmt: skip
def test_a_word_in_disguise_is_read(text: str) -> None:
    assert reads(text, "frog")


@pytest.mark.parametrize("text", ["$lug", "5lug", "s1ug", "s!ug", "§lug slug"])
def test_digits_and_signs_among_letters_are_letters(text: str) -> None:
    assert reads(text, "slug")
    assert reads("k1ck", "kick")


@pytest.mark.parametrize(
    "text", ["frogs", "leapfrog", "fr og", "from go", "f. rog ging", "to ad", "4 2 0", "fro 9"]
)
def test_other_words_are_not(text: str) -> None:
    assert not reads(text, "frog")
    assert not reads(text, "toad")


@pytest.mark.parametrize("text", ["a red circle on a blue background", "8k, 512x512"])
def test_a_plain_text_is_read_as_it_is(text: str) -> None:
    assert readings(text)[0] == text.replace(",", "")


def test_most_texts_are_read_in_one_way() -> None:
    assert readings("A red circle, on a blue background.") == ("a red circle on a blue background",)


def test_other_scripts_are_read_alike_on_both_sides() -> None:
    assert readings("ЛЯГУШКА") == readings("лягушка")
    assert readings("青蛙") == ("青蛙",)
    assert fold("Straße") == "strasse"


def test_half_of_a_sign_is_left_out() -> None:
    assert readings("fr\ud800og")[0] == "frog"


@pytest.mark.parametrize("sign", ["a", "a ", "1", "a1", "-", "\u0301", "ſ", "ﷺ", "f r 0.g ", "\n"])
def test_what_is_read_grows_with_the_text_and_no_faster(sign: str) -> None:
    text = sign * (MAX_PROMPT_CHARS // len(sign))
    found = readings(text)
    assert len(found) <= 12
    assert sum(map(len, found)) <= 12 * 19 * len(text), "U+FDFA is decomposed to 18 signs"
