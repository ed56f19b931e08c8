"""Which format of image an `Accept` header asks for."""

from typing import Final

from latentry.contracts import OutputFormat
from latentry.errors import NotAcceptable
from service.http.accept import is_zero

_ANY: Final = ("*/*", "image/*")
_BY_TYPE: Final = {form.content_type: form for form in OutputFormat} | dict.fromkeys(
    _ANY, OutputFormat.PNG
)


def accepted_format(accept: str) -> OutputFormat:
    """The first that the header names, PNG where it takes any. Raises NotAcceptable."""
    ranges = [part.split(";") for part in accept.lower().split(",") if part.strip()]
    for kind, *weights in ranges:
        if (form := _BY_TYPE.get(kind.strip())) and not is_zero(weights):
            return form
    if ranges:
        raise NotAcceptable("The answer is an image: Accept must allow PNG, JPEG or WebP.")
    return OutputFormat.PNG
