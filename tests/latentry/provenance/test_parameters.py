"""Generation parameters, read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.contracts import ResolvedRequest
from latentry.provenance.infotext import infotext
from latentry.provenance.parameters import MAX_CHARS, Parameters, parse
from tests.latentry.ledger.factory import request

LINE = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768"


def test_prompts_of_several_lines_and_settings_are_told_apart() -> None:
    found = parse(f"a cat: big,\nin a hat\nNegative prompt: blur\n  dim\n{LINE}")
    assert (found.prompt, found.negative_prompt) == ("a cat: big,\nin a hat", "blur\ndim")
    assert found.settings["Sampler"] == "Euler a"
    assert found.size("Size") == (512, 768)
    assert found.size("Steps") is found.size("Version") is None


def test_quotes_hold_what_commas_and_colons_would_end() -> None:
    line = f'{LINE}, Lora hashes: "a: 1, b: 2", Note: "say \\"x\\"", Odd: "x"y, Last: 1'
    found = parse(line).settings
    assert found["Lora hashes"] == "a: 1, b: 2"
    assert found["Note"] == 'say "x"'
    assert (found["Odd"], found["Last"]) == ('"x"y', "1")


@pytest.mark.parametrize("text", ["", "a cat", "Steps: 20, a cat", "\n\n", "Negative prompt:"])
def test_a_text_without_three_settings_is_a_prompt(text: str) -> None:
    found = parse(text)
    assert not found.settings
    assert found.prompt == ("" if text.startswith("Neg") else text.strip())


def test_what_we_write_is_read_again() -> None:
    wanted = request(prompt="a: b,\nc", negative_prompt="d, e: f", clip_skip=1)
    found = parse(infotext(wanted, 9))
    assert (found.prompt, found.negative_prompt) == (wanted.prompt, wanted.negative_prompt)
    expected = {"Steps": "4", "Sampler": "DDIM", "Seed": "9", "Clip skip": "2", "Model": "shapes"}
    assert expected.items() <= found.settings.items()


def test_a_second_pass_is_said_by_the_steps_that_it_makes() -> None:
    hires = {"width": 256, "height": 256, "steps": 20, "strength": 0.7}
    wanted = ResolvedRequest.model_validate(request().model_dump() | {"hires": hires})
    assert parse(infotext(wanted, 1)).settings["Hires steps"] == "14"


@given(st.text(alphabet='ab:," \\\n0x', max_size=60))
def test_any_text_is_read(text: str) -> None:
    found = parse(text)
    assert len(found.prompt) + len(found.negative_prompt) <= len(text)


def test_what_is_too_long_says_nothing() -> None:
    assert parse("a" * (MAX_CHARS + 1)) == Parameters()
