"""Reads generation parameters, the text that AUTOMATIC1111 writes into image files."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_CHARS: Final = 128 * 1024  # longer texts are no parameters
_NEGATIVE: Final = "Negative prompt:"
# The last line has settings if it has so many, as in parse_generation_parameters of
# AUTOMATIC1111's modules/infotext_utils.py.
_SETTINGS: Final = 3
_NAME: Final = re.compile(r"\w[\w \-/]{0,63}")
_QUOTED: Final = re.compile(r'"(?:\\.|[^\\"])*+"')
_SIZE: Final = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Both prompts, and the settings by name; quotes around their values are removed."""

    prompt: str = ""
    negative_prompt: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def size(self, name: str) -> tuple[int, int] | None:
        """A setting that is a width and a height."""
        found = _SIZE.fullmatch(self.settings.get(name, ""))
        return (int(found[1]), int(found[2])) if found else None


def parse(text: str) -> Parameters:
    """What the text says, whatever it is; in time proportional to its length."""
    if len(text) > MAX_CHARS:
        return Parameters()
    lines = text.strip().split("\n")
    settings = dict(_settings(lines[-1]))
    if len(settings) >= _SETTINGS:
        lines.pop()
    else:
        settings = {}
    lines = [line.strip() for line in lines]
    at = next((k for k, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    negative = [line.removeprefix(_NEGATIVE).strip() for line in lines[at:]]
    return Parameters("\n".join(lines[:at]), "\n".join(negative), settings)


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """Name and value of each; what is neither is left out."""
    at = 0
    while at < len(line):
        comma = line.find(",", at)
        end = len(line) if comma < 0 else comma
        colon = line.find(":", at, end)
        name = line[at:colon].strip() if colon >= 0 else ""
        if _NAME.fullmatch(name):
            start = colon + 1 + (line[colon + 1 : colon + 2] == " ")
            value, end = _value(line, start, end)
            yield name, value
        at = end + 1


def _value(line: str, start: int, end: int) -> tuple[str, int]:
    """A value from `start` on, and where it ends: at `end`, the next comma, unless it is quoted."""
    quoted = _QUOTED.match(line, start)
    if quoted and line[quoted.end() : quoted.end() + 1] in ("", ","):
        try:
            return str(json.loads(quoted[0])), quoted.end()
        except ValueError:  # quotes, but no JSON
            return quoted[0], quoted.end()
    return line[start:end].strip(), end
