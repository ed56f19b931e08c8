"""Files of rules: what they may say, what is refused at start, and what a broken change does."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from latentry.errors import ConfigurationError
from latentry.rules.moderation.prompt_rules import PromptAction
from latentry.rules.moderation.rulebook import Rulebook
from latentry.rules.moderation.texts import Text
from latentry.settings import Settings
from service.app import create_app
from service.templates.library import Library
from service.templates.rules import read_rules
from tests.service.templates.test_library import write

FROGS = """
[[prompt]]
name = "frogs"
words = ["frog"]
patterns = ['\\btoads?\\b']
exceptions = ["frog green"]
action = "refuse"
reason = "No frogs."
tenants = ["pond"]

[[image]]
name = "drawn-frogs"
label = "frog"
threshold = 0.9
action = "block"
charge = true
reason = "It shows a frog."
"""
PROMPT = "[[prompt]]\nname = 'x'\n"
WORDS = PROMPT + "words = ['y']\n"
Read = Callable[[str], Rulebook]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return lambda text: read_rules([write(tmp_path / "rules.toml", text)])


def test_a_file_has_rules_of_both_kinds(read: Read) -> None:
    book = read(FROGS)
    [one] = book.prompt
    assert (one.name, one.action, one.reason) == ("frogs", PromptAction.REFUSE, "No frogs.")
    for text, is_found in (("TOADS", True), ("a fr0g", True), ("frog green", False)):
        assert bool(book.found([Text("/prompt", text)], "pond")) == is_found, text
    assert not book.found([Text("/prompt", "frog")], "other")
    [drawn] = book.image_rules("anybody")
    assert (drawn.label, drawn.threshold, drawn.action, drawn.charge) == (
        "frog",
        0.9,
        "block",
        True,
    )


def test_a_folder_may_have_a_file_for_each_tenant(settings: Settings, tmp_path: Path) -> None:
    write(tmp_path / "rules" / "a.toml", FROGS)
    write(tmp_path / "rules" / "b.toml", WORDS + "action = 'flag'")
    write(tmp_path / "rules" / "notes.md", "no")
    changed = {"rules": str(tmp_path / "rules"), "models": "none=nowhere"}
    library = Library.open(settings.model_copy(update=changed))
    assert [one.name for one in library.rules.prompt] == ["frogs", "x"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[prompt]", "is not TOML: "),
        ("a = " + "[" * 100_000, "is nested too deeply"),
        ("[[promt]]", "“promt” is no rule"),
        ("[prompt]\nname = 'x'", "begins with [[prompt]], in two brackets"),
        ("prompt = [1]", "prompt rule 1: "),
        ("[[prompt]]", "prompt rule 1: name: Field required"),
        ("[[prompt]]\nname = 'X y'", "name: String should match"),
        (PROMPT + "action = 'flag'", "it needs words or patterns"),
        (WORDS, "action: Field required"),
        (WORDS + "action = 'forbid'", "action: Input should be"),
        (WORDS + "action = 'refuse'", "needs a reason, which the caller is told"),
        (WORDS + "action = 'append'", "belongs to the action append, which needs one"),
        (WORDS + "action = 'flag'\nnegative_prompt = 'x'", "belongs to the action append"),
        (WORDS + "action = 'flag'\nword = ['y']", "word: Extra inputs"),
        (WORDS + "action = 'flag'\ntenants = 'a'", "tenants: Input should be a valid list"),
        (PROMPT + "words = ['!?']\naction = 'flag'", "“!?” has neither letters nor digits"),
        (PROMPT + "words = ['']\naction = 'flag'", "words.0: String should have at least 1"),
        (PROMPT + "patterns = ['(']\naction = 'flag'", "“(” is no pattern of RE2: missing )"),
        (PROMPT + "patterns = ['(?=x)']\naction = 'flag'", "“(?=x)” is no pattern of RE2"),
        (PROMPT + "patterns = ['x*']\naction = 'flag'", "finds something in every prompt"),
        (PROMPT + "patterns = ['(x{1000}){1000}']\naction = 'flag'", "is no pattern of RE2"),
        ((WORDS + "action = 'flag'\n") * 2, "there are two rules “x”"),
        ("[[image]]\nname = 'x'\nlabel = 'a'\nthreshold = 2\naction = 'flag'", "less than"),
        ("[[image]]\nname = 'x'\nlabel = 'a'\nthreshold = nan\naction = 'flag'", "threshold: "),
        ("[[image]]\nname = 'x'\nlabel = 'a'\nthreshold = 1\naction = 'burn'", "action: Input"),
        (WORDS + "action = 'flag'\n[[image]]\nname = 'x'\nlabel = 'a'\nthreshold = 1\n"
         "action = 'flag'", "there are two rules “x”"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_set_of_rules_is_named_at_start(
    settings: Settings, tmp_path: Path, text: str, why: str
) -> None:
    file = write(tmp_path / "rules.toml", text)
    with pytest.raises(ConfigurationError) as caught:
        create_app(settings.model_copy(update={"rules": str(file)}))
    assert str(file) in caught.value.message
    assert why in caught.value.message


def test_a_missing_file_is_named_at_start(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.toml does not exist"):
        create_app(settings.model_copy(update={"rules": str(tmp_path / "gone.toml")}))


def test_a_broken_change_leaves_the_old_rules_and_says_so(
    settings: Settings, tmp_path: Path
) -> None:
    file = write(tmp_path / "rules.toml", FROGS, 1)
    changed = {"rules": str(file), "models": "none=nowhere"}
    gateway = create_app(settings.model_copy(update=changed)).state.gateway
    library, registry = gateway.library, gateway.metrics.registry

    def is_stale() -> float | None:
        return registry.get_sample_value("latentry_templates_stale", {"what": "rules"})

    assert is_stale() == 0
    with structlog.testing.capture_logs() as logs:
        write(file, WORDS, 2)
        library.refresh()
    assert [one.name for one in library.rules.prompt] == ["frogs"]
    [logged] = [one for one in logs if one["log_level"] == "error"]
    assert (logged["event"], logged["what"]) == ("templates.unusable", "rules")
    assert "action: Field required" in logged["why"]
    assert is_stale() == 1
    write(file, WORDS + "action = 'flag'", 3)
    library.refresh()
    assert [one.name for one in library.rules.prompt] == ["x"]
    assert is_stale() == 0


def _emptied(file: Path) -> None:
    file.write_text("")


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("becomes", "why"),
    [(_emptied, "has no rules"), (_a_folder, "is no file"), (_a_pipe, "is no file")],
)
def test_rules_do_not_vanish_with_their_file(
    settings: Settings, tmp_path: Path, becomes: Callable[[Path], None], why: str
) -> None:
    """Who writes a file anew empties it first, and a pipe would never be read to its end."""
    file = write(tmp_path / "rules.toml", FROGS, 1)
    library = Library.open(settings.model_copy(update={"rules": str(file)}))
    becomes(file)
    with structlog.testing.capture_logs() as logs:
        library.refresh()
    assert [one.name for one in library.rules.prompt] == ["frogs"]
    [logged] = logs
    assert why in logged["why"]


def test_no_pattern_takes_more_time_than_the_text_is_long(read: Read) -> None:
    """Others take these exponential time: this test would time out."""
    evil = ["(a+)+$", "(a|a)*b", "(a*)*c", "(.*a){25}z", "([a-z]+)*!"]
    [one] = read(PROMPT + f"patterns = {evil}\naction = 'flag'").prompt
    assert not one.finds("a" * 200_000 + "9")
    assert one.finds("a" * 200_000)
