"""Writes docs/errors.md: every error code, from the classes that raise them.

`python -m tools.pages.error_codes`
"""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import latentry
from latentry import errors
from latentry.errors import LatentryError
from service.http.failures import STATUS, Failure
from service.http.openai_fault import fault
from service.http.problems import FRAMEWORK

PAGE: Final = Path(__file__).parents[2] / "docs" / "errors.md"
HEAD: Final = """# Error codes

Written by `python -m tools.pages.error_codes` from the classes of the errors; a test compares. A
refused call is answered with [problem details](http.md#errors), whose `code` never changes its
meaning; `error.code` is for clients of OpenAI's API, with OpenAI's own code where there is one.
*Retry*: the same request may succeed later, and the SDK repeats it within its bounds.
"""
# Never answered as they are: base classes, and what a worker or a start alone raises.
_INSIDE: Final = {errors.LatentryError, errors.LeaseLost, errors.ConfigurationError}


def page() -> str:
    """The whole page."""
    own = {getattr(errors, name) for name in errors.__all__} - _INSIDE
    answered = sorted(own, key=lambda kind: (_status(kind), kind.code))
    failed = [kind for kind in answered if issubclass(kind, errors.JobFailed)]
    refused = [kind for kind in answered if kind not in failed]
    parts = [
        HEAD,
        "## Refused calls\n",
        *_table("| code | HTTP | retry | for OpenAI's clients | message |", map(_refusal, refused)),
        f"| `internal` | 500 | no | | {errors.LatentryError().message} |",
        *(f"| `{code}` | {status} | no | | {why} |" for status, (code, why) in FRAMEWORK.items()),
        "\n## Failed jobs\n",
        "In a job's `error.code`. Doors that wait for the end answer 502, and 503 for"
        " `model_not_loaded`.\n",
        *_table("| code | retry | message |", map(_failure, failed)),
        "\n## In the SDK\n",
        "What `latentry` raises besides; an `ApiError` has the codes above, or `http_502` and the"
        " like if a proxy answered.\n",
        *_table("| code | exception | retry | message |", map(_exception, _of_the_sdk())),
    ]
    return "\n".join(parts) + "\n"


def _refusal(kind: type[LatentryError]) -> str:
    status, retry = _status(kind), _retry(kind)
    theirs = fault(Failure(status, kind.code, "")).code
    named = "" if theirs == kind.code else f"`{theirs}`"
    return f"| `{kind.code}` | {status} | {retry} | {named} | {_message(kind)} |"


def _failure(kind: type[LatentryError]) -> str:
    return f"| `{kind.code}` | {_retry(kind)} | {_message(kind)} |"


def _exception(kind: type[LatentryError]) -> str:
    return f"| `{kind.code}` | `{kind.__name__}` | {_retry(kind)} | {_message(kind)} |"


def _of_the_sdk() -> list[type[LatentryError]]:
    public = [getattr(latentry, name) for name in latentry.__all__]
    classes = [kind for kind in public if inspect.isclass(kind) and issubclass(kind, LatentryError)]
    return [kind for kind in classes if kind not in (LatentryError, latentry.ApiError)]


def _status(kind: type[LatentryError]) -> int:
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def _retry(kind: type[LatentryError]) -> str:
    return "yes" if kind.retryable else "no"


def _message(kind: type[LatentryError]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].replace("|", "\\|")


def _table(head: str, rows: Iterable[str]) -> list[str]:
    return [head, "|" + "---|" * (head.count("|") - 1), *rows]


if __name__ == "__main__":
    PAGE.write_text(page())
