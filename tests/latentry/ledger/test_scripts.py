"""What a script carries of the shared prelude."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from latentry.ledger import Ledger
from latentry.ledger.scripts import source

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
    assert defined(source("reserve_bell")) == {"ROOT", "key"}
    assert defined(source("report_progress")) == {"ROOT", "key", "field", "fields", "holds"}


def test_the_prelude_defines_one_name_at_a_time_and_does_nothing() -> None:
    begins = re.findall(r"^[^\s-].*", PRELUDE, re.MULTILINE)
    assert {line for line in begins if not re.match(r"local (function )?\w+( =|\(|$)", line)} <= {
        "end", "}",
    }  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_lacks_nothing(script: str, ledger: Ledger) -> None:
    text = source(script)
    used = {name for name in NAMES if re.search(rf"\b{name}\b", text)}
    assert used == defined(text)
    ledger.client.script_load(text)  # it compiles
