"""What a script carries of the shared prelude."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from latentry.ledger import Ledger
from latentry.ledger.redis_keys import KEYS
from latentry.ledger.scripts import source
from tests.latentry.ledger.script_keys import keys_of

LUA = Path(str(files("latentry.ledger"))) / "lua"
SCRIPTS = sorted(
    str(file.relative_to(LUA).with_suffix(""))
    for file in LUA.rglob("*.lua")
    if file.parent.name != "prelude"
)
PRELUDE = "".join(file.read_text() for file in (LUA / "prelude").glob("*.lua"))
NAMES = set(re.findall(r"^local (?:function )?(\w+)", PRELUDE, re.MULTILINE))


def defined(text: str) -> set[str]:
    return set(re.findall(r"^local (?:function )?(\w+)", text, re.MULTILINE)) & NAMES


def test_a_script_carries_what_it_uses_and_what_that_uses() -> None:
    assert defined(source("gateway/reserve_bell")) == {"ROOT", "key"}
    assert defined(source("worker/report_progress")) == {
        "ROOT", "CHANNELS", "key", "channel", "now_us", "began_ms", "now_ms", "fields", "holds",
    }  # fmt: skip


def test_the_prelude_defines_one_name_at_a_time_and_does_nothing() -> None:
    begins = re.findall(r"^[^\s-].*", PRELUDE, re.MULTILINE)
    assert {line for line in begins if not re.match(r"local (function )?\w+( =|\(|$)", line)} <= {
        "end", "}",
    }  # fmt: skip


@pytest.mark.parametrize("parts", ["'job', false", "'queue', 'm', false", "'a', 'b', 'c', false"])
def test_a_missing_field_is_no_part_of_a_key(parts: str, ledger: Ledger) -> None:
    prelude = source("gateway/reserve_bell").partition("\nlocal function key(")
    definition = prelude[1] + prelude[2].partition("\nend\n")[0] + "\nend\n"
    code = f"local ROOT = 'root'{definition}"
    assert ledger.client.eval(f"{code}return key('job', 'ref')", 0) == "root:job:ref"
    with pytest.raises(ResponseError, match="concatenate"):
        ledger.client.eval(f"{code}return key({parts})", 0)


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_lacks_nothing(script: str, ledger: Ledger) -> None:
    text = source(script)
    used = {name for name in NAMES if re.search(rf"\b{name}\b", text)}
    assert used == defined(text)
    ledger.client.script_load(text)  # it compiles


def head(script: str) -> str:
    """The comment that a script begins with, in one line."""
    text = (LUA / f"{script}.lua").read_text()
    return " ".join(re.match(r"(?:--.*\n)+", text)[0].replace("--", " ").split()) + " "


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_head_says_what_goes_in_and_out_and_which_keys_are_touched(script: str) -> None:
    parts = re.split(r" (ARGV:|Reads:|Writes:|Returns) ", head(script))
    does, sections = parts[0], dict(zip(parts[1::2], parts[2::2], strict=True))
    assert does.endswith("."), "a sentence says what it does"
    assert {"ARGV:", "Returns"} <= sections.keys()
    listed = [sections.get(which, "").strip() for which in ("Reads:", "Writes:")]
    assert listed == [", ".join(sorted(names)) for names in keys_of(script)]


def test_the_list_of_keys_has_what_scripts_touch_and_nothing_else() -> None:
    touched = set.union(*(names for script in SCRIPTS for names in keys_of(script)))
    assert touched == {key.name for key in KEYS}
    assert len({key.pattern for key in KEYS}) == len(KEYS)
