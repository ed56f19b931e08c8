"""AUTOMATIC1111's prompt schedules and AND, plainly: by its grammar, tried rule after rule.

From what modules/prompt_parser.py defines (release 1.10): the grammar, `schedule` as its docstring
shows it, and which text `reconstruct_cond_batch` takes at a call. As slow as it likes to be.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

# What a rule has read from `start` on: what it means at a step of a schedule, and where it ended.
At: TypeAlias = Callable[[int], str]
Read: TypeAlias = tuple[At, int]

NUMBER = re.compile(r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][+-]?[0-9]+)?")


class Unreadable(ValueError):
    """No rule takes the prompt."""


class Grammar:
    """One prompt, for so many steps; `ends`: where its texts may change."""

    def __init__(self, prompt: str, steps: int) -> None:
        self.prompt, self.steps = prompt, steps
        self.ends = {steps}

    def start(self) -> At:
        """!start: (prompt | /[][():]/+)*"""
        found: list[At] = []
        i = 0
        while i < len(self.prompt):
            item = self.item(i)
            if item is None and self.prompt[i] not in "[]():":
                raise Unreadable(self.prompt)
            at, i = item or (text(self.prompt[i]), i + 1)
            found.append(at)
        return joined(found)

    def prompts(self, i: int) -> Read:
        """prompt: (emphasized | scheduled | alternate | plain | WHITESPACE)*"""
        found: list[At] = []
        while item := self.item(i):
            found.append(item[0])
            i = item[1]
        return joined(found), i

    def item(self, i: int) -> Read | None:
        return self.emphasized(i) or self.scheduled(i) or self.alternate(i) or self.plain(i)

    def plain(self, i: int) -> Read | None:
        """/([^\\\\\\[\\]():|]|\\\\.)+/"""
        match = re.compile(r"([^\\\[\]():|]|\\.)+").match(self.prompt, i)
        return (text(match[0]), match.end()) if match else None

    def emphasized(self, i: int) -> Read | None:
        """'(' prompt ')', '(' prompt ':' prompt ')' or '[' prompt ']'"""
        for rule in ("(", ")"), ("(", ":", ")"), ("[", "]"):
            found = self.between(i, rule)
            if found:
                parts, end = found
                signs = [text(sign) for sign in rule]
                pairs = zip(signs, [*parts, text("")], strict=True)
                return joined([at for pair in pairs for at in pair]), end
        return None

    def scheduled(self, i: int) -> Read | None:
        """'[' [prompt ':'] prompt ':' [WHITESPACE] NUMBER [WHITESPACE] ']'"""
        for rule in ("[", ":", ":"), ("[", ":"):
            found = self.between(i, rule)
            match = (
                re.compile(rf"\s*({NUMBER.pattern})\s*\]").match(self.prompt, found[1])
                if found
                else None
            )
            if found and match:
                before = found[0][0] if len(rule) == 3 else text("")
                return self.switched(before, found[0][-1], match[1]), match.end()
        return None

    def switched(self, before: At, after: At, number: str) -> At:
        value = float(number) * self.steps if "." in number else float(number)
        when = min(self.steps, int(value))
        self.ends.add(when)
        return lambda step: before(step) if step <= when else after(step)

    def alternate(self, i: int) -> Read | None:
        """'[' prompt ('|' [prompt])+ ']'"""
        for bars in range(1, self.prompt.count("|") + 1):
            found = self.between(i, ("[", *"|" * bars, "]"))
            if found:
                return self.alternating(found[0]), found[1]
        return None

    def alternating(self, options: list[At]) -> At:
        self.ends |= set(range(1, self.steps + 1))
        return lambda step: options[(step - 1) % len(options)](step)

    def between(self, i: int, signs: tuple[str, ...]) -> tuple[list[At], int] | None:
        """The prompts that follow each sign but the last, and where that ended."""
        parts: list[At] = []
        for number, sign in enumerate(signs):
            if self.prompt[i : i + 1] != sign:
                return None
            i += 1
            if number < len(signs) - 1:
                at, i = self.prompts(i)
                parts.append(at)
        return parts, i


def text(written: str) -> At:
    return lambda step: written


def joined(found: list[At]) -> At:
    return lambda step: "".join(at(step) for at in found)


def schedule(prompt: str, steps: int) -> list[list[Any]]:
    """[[last step, text], …]"""
    grammar = Grammar(prompt, steps)
    try:
        at = grammar.start()
    except Unreadable:
        return [[steps, prompt]]
    return [[end, at(end)] for end in sorted(grammar.ends) if end >= 1]


def text_at(prompt: str, steps: int, call: int) -> str:
    """Of a call, counted from 0: the first entry whose step is not less."""
    return next(text for end, text in schedule(prompt, steps) if call <= end)


def composition(prompt: str) -> Iterator[tuple[str, float]]:
    """Its subprompts and their weights."""
    weighted = re.compile(r"^((?:\s|.)*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")
    for subprompt in re.split(r"\bAND\b", prompt):
        match = weighted.search(subprompt)
        assert match
        yield match[1], float(match[2] or 1)
