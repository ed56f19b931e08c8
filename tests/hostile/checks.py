"""Loaded by Schemathesis (SCHEMATHESIS_HOOKS): more to send, and what no answer may contain."""

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import schemathesis

from tests.hostile.bodies import FILES, bodies_of, body_of

_NUMBERS: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let jobs be of every mode and kind.

    Most of its cases have one idempotency key, and all but the first end at that: few may keep it.
    The files that bodies name are listed, and what is listed would be deleted: these stay.
    """
    method, route = case.operation.label.split(" ")
    named = os.environ.get(FILES, "").split()
    if method == "DELETE" and (case.path_parameters or {}).get("file_id") in named:
        case.path_parameters["file_id"] = f"file_{0:032x}"
    is_json = case.media_type == "application/json"
    if method == "POST" and is_json and bodies_of(route) and isinstance(case.body, dict):
        number = next(_NUMBERS[route])
        case.body = body_of(route, number, case.body)
        if number % 8 and case.headers:
            case.headers.pop("Idempotency-Key", None)


INSIDES = re.compile(
    r"Traceback|object at 0x|<class '|/home/|/usr/|/root/|/app/|/tmp/|site-packages|\.py\b"
    r"|rediss?://|WRONGTYPE|user_script|pydantic"
)


@schemathesis.check
def tells_nothing_of_its_insides(ctx, response, case) -> None:
    """No repr, no path, no library's own words; but what was sent may come back in a job."""
    answer = response.content.decode(errors="replace")
    sent = f"{case.body} {case.path_parameters} {case.query} {case.headers}"
    found = [words for words in INSIDES.findall(answer) if words not in sent]
    is_ours = response.headers.get("content-type", [""])[0].startswith("image/")
    assert is_ours or not found, f"says {found[0]!r}"
