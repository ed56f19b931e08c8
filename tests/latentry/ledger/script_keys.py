"""Which keys a script reads and writes, by its text: each `key('name', …)`, and its use."""

import re
from itertools import pairwise

from latentry.ledger.scripts import source

_WRITES = re.compile("SET|DEL|PUBLISH|EXPIRE|ADD|REM|PUSH|POP|TRIM|INCR|DECR")
_CALL = re.compile(r"redis\.call\('(\w+)',\s*((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")
_NAMED = re.compile(r"\b(?:key|channel)\('(\w+)'")
_LOCAL = re.compile(
    r"^\s*local ([\w, ]+) = (.*(?:\n +\S.*)?)"
    r"|for _, (\w+) in ipairs\((\{[^}]*\})\)",
    re.MULTILINE,
)
_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end$", re.MULTILINE | re.DOTALL)


def keys_of(script: str) -> tuple[set[str], set[str]]:
    """The names of the keys that it only reads, and of those that it may write."""
    text = source(script)
    functions = {found[1]: found[0] for found in _FUNCTION.finditer(text)}
    makers = {name: set(_NAMED.findall(body)) for name, body in functions.items()}
    makers = {name: keys for name, keys in makers.items() if "return key(" in functions[name]}
    top = _FUNCTION.sub("", text)
    outer = _variables(top, makers, {})
    written = set[str]()
    for body in (top, *functions.values()):
        known = outer | _variables(body, makers, outer)
        for command, arguments in _CALL.findall(body):
            if _WRITES.search(command):
                first = arguments if command == "DEL" else _split(arguments)[0]
                written |= _named(first, makers, known)
    return set(_NAMED.findall(text)) - written, written


def _variables(
    text: str, makers: dict[str, set[str]], outer: dict[str, set[str]]
) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for names, values, looped, items in _LOCAL.findall(text):
        if looped:
            known[looped] = _named(items, makers, outer)
        for name, value in zip(names.split(", "), _split(values), strict=False):
            known[name] = known.get(name, set()) | _named(value, makers, outer)
    return {name: keys for name, keys in known.items() if keys}


def _named(expression: str, makers: dict[str, set[str]], known: dict[str, set[str]]) -> set[str]:
    """The keys that an expression may stand for."""
    if expression.strip().startswith("redis.call"):
        return set()
    found = set(_NAMED.findall(expression))
    for word in re.findall(r"\b\w+\b", expression):
        found |= makers.get(word, set()) | known.get(word, set())
    return found


def _split(text: str) -> list[str]:
    """An argument list at its own commas."""
    depths, depth = [], 0
    for sign in text:
        depth += (sign in "({") - (sign in ")}")
        depths.append(depth)
    cuts = [-1, *(i for i, sign in enumerate(text) if sign == "," and not depths[i]), len(text)]
    return [text[begin + 1 : end] for begin, end in pairwise(cuts)]
