"""Forms as OpenAI's clients send them: names such as `hires[scale]`, `styles[]`, and files.

`styles[]` is one of several values, `hires[scale]` a field of a field, `loras[][id]` a field of one
of several. A list or object may be JSON as well.
"""

import re
from base64 import b64encode
from collections import Counter, defaultdict
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from latentry.errors import InvalidRequest, MalformedBody
from service.http import bodies
from service.intake import multipart
from service.intake.multipart import Part

M = TypeVar("M", bound=BaseModel)

IMAGE: Final = "image"
FILES: Final = (IMAGE, "mask", "markup")
_NAME: Final = re.compile(r"([^\[\]]{1,64})((?:\[[^\[\]]{0,64}\]){0,3})")
_MAX_TEXT_BYTES: Final = 64 * 1024
# What a picture's part may be instead of the picture: a reference to one.
_REFERENCE: Final = re.compile(rb"(file_|data:|https://)[\x21-\x7e]+")


def parsed(raw: bytes, content_type: str, model: type[M]) -> M:
    """The request that a form is. Raises MalformedBody or another InvalidRequest."""
    fields: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for part in multipart.parts(raw, content_type):
        name, path = _path(part.name)
        value = _picture(part) if name in FILES else _text(part)
        if value and name == IMAGE:  # `image` once, twice, or `image[]`
            fields.setdefault(IMAGE, []).append(value)
        elif value:  # an empty one is left out, as clients in many languages do
            _put(fields, [name, *path], value, seen)
    _refuse_ragged(seen)
    return _validated(fields, model)


def _validated(fields: dict[str, Any], model: type[M]) -> M:
    """As the model reads JSON: a text is a number, a list, … where the model takes no text."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_context=False, include_input=False):
            _read(fields, wrong["loc"])
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise bodies.invalid(error, model) from None


def _read(fields: Any, path: tuple[int | str, ...]) -> None:
    *way, last = path or ("",)
    try:
        for key in way:
            fields = fields[key]
        if isinstance(fields[last], str):
            fields[last] = from_json(fields[last], allow_inf_nan=False)
    except (KeyError, IndexError, TypeError, ValueError):
        pass  # it is no JSON, or not sent at all: what is wrong with it is said by the model


def _path(name: str) -> tuple[str, list[str]]:
    found = _NAME.fullmatch(name)
    if not found:
        raise MalformedBody("A form field has an unusable name.")
    return found[1], re.findall(r"\[([^\[\]]*)\]", found[2])


def _picture(part: Part) -> str:
    content = part.content
    if _REFERENCE.fullmatch(content):
        return bytes(content).decode()
    if not content:
        return ""
    return "data:application/octet-stream;base64," + b64encode(content).decode()


def _text(part: Part) -> str:
    if len(part.content) > _MAX_TEXT_BYTES:
        raise _wrong(part.name, "Too long.")
    try:
        return bytes(part.content).decode()
    except UnicodeDecodeError:
        raise _wrong(part.name, "Not UTF-8.") from None


def _put(fields: dict[str, Any], path: list[str], value: str, seen: Counter[str]) -> None:
    """Put a value where its path says; that of a list's element goes to the next without one."""
    name = "/".join(path)
    number, at = seen[name], fields
    seen[name] += 1
    for key, after in zip(path, [*path[1:], None], strict=True):
        if after is None:
            _set(at, key, value, name)
        elif after == "":
            rest = path[path.index("") + 1 :]
            _append(at.setdefault(key, []), rest, value, number, name)
            return
        else:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise _wrong(name, "Sent both as one value and as several.")


def _append(values: Any, rest: list[str], value: str, number: int, name: str) -> None:
    if not isinstance(values, list):
        raise _wrong(name, "Sent both as one value and as several.")
    if not rest:
        values.append(value)
        return
    if len(rest) > 1 or number > len(values):
        raise _wrong(name, "Send it as JSON.")
    if number == len(values):
        values.append({})
    if not isinstance(values[number], dict):
        raise _wrong(name, "Sent both as one value and as several.")
    _set(values[number], rest[0], value, name)


def _set(at: dict[str, Any], key: str, value: str, name: str) -> None:
    if not key or key in at:
        raise _wrong(name, "Sent twice.")
    at[key] = value


def _refuse_ragged(seen: Counter[str]) -> None:
    """Of `loras[][id]` and `loras[][weight]` nothing says whose is whose, if one has fewer."""
    counts = defaultdict[str, set[int]](set)
    for path, number in seen.items():
        of, is_list, _ = path.partition("//")
        if is_list:
            counts[of].add(number)
    for name, found in counts.items():
        if len(found) > 1:
            raise _wrong(name, "Each must have the same fields; or send it as JSON.")


def _wrong(name: str, why: str) -> InvalidRequest:
    name = name.replace("[", "/").replace("]", "").rstrip("/")[:64]
    return InvalidRequest(f"{name}: {why}", fields={f"/{name}": why})
