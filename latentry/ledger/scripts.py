"""The texts of the Lua scripts, each with the definitions of the prelude that it uses."""

import re
from functools import cache
from hashlib import sha1
from importlib.resources import files

_LUA = files("latentry.ledger") / "lua"
# A full Redis takes no new jobs and is not ready; but what it has must be able to end and to be
# removed, or it would stay full for ever. Checkpoints only save time, and previews are looked at.
_REFUSED_WHEN_FULL = frozenset(
    {
        "gateway/create",
        "gateway/check_writable",
        "worker/save_checkpoint",
        "files/keep",
        "instances/keep_preview",
    }
)
# In this order: each part may use those before it.
_PRELUDE = (
    "keys",
    "rate",
    "updates",
    "fairness",
    "queue",
    "lease",
    "estimate",
    "usage",
    "deliveries",
    "files",
    "job",
)
_DEFINITION = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)


@cache
def source(script: str) -> str:
    """A script after the definitions that it needs, and no others: each call makes closures."""
    text = _code(script)
    for name, definition in reversed(_definitions()):
        if re.search(rf"\b{name}\b", text):
            text = definition + text
    flags = "#!lua" if script in _REFUSED_WHEN_FULL else "#!lua flags=allow-oom"
    return f"{flags}\n{text}"


@cache
def digest(script: str) -> str:
    """The SHA-1 by which Redis knows a script."""
    return sha1(source(script).encode(), usedforsecurity=False).hexdigest()


@cache
def _definitions() -> list[tuple[str, str]]:
    """Every name of the prelude, with the lines from its definition to the next."""
    text = "".join(_code(f"prelude/{part}") for part in _PRELUDE)
    found = list(_DEFINITION.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    return [(one[1], text[one.start() : end]) for one, end in zip(found, ends, strict=True)]


def _code(file: str) -> str:
    """A file without its comments, whose words are no names in use."""
    lines = (_LUA / f"{file}.lua").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith("--"))
