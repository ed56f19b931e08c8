"""Pictures as AUTOMATIC1111's clients send them: mostly bare base64."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from latentry.contracts.fields.inputs import PICTURE_PATTERN

FORMS: Final = "base64, a `data:` or `https:` URL, or a file id of `POST /v1/files`"
_OURS: Final = ("file_", "data:", "https://")
_BASE64: Final = "data:application/octet-stream;base64,"
_BEGINNING: Final = 256  # characters, in which lines would show
_NOT_GLOBAL: Final = PydanticCustomError("url", "Only https: URLs are fetched")


def as_reference(value: Any) -> Any:
    """A picture as our own requests name it: bare base64 becomes a `data:` URL.

    Whether it is base64, its reader says.
    """
    if not isinstance(value, str) or value.startswith(_OURS):
        return value
    if value.startswith("http://"):
        raise _NOT_GLOBAL
    value = value.strip()
    if value[:_BEGINNING].split() != [value[:_BEGINNING]]:  # in lines, as MIME has it
        value = "".join(value.split())
    return f"{_BASE64}{value}" if value else value


Picture = Annotated[
    Annotated[str, StringConstraints(pattern=PICTURE_PATTERN)],
    BeforeValidator(as_reference),
    WithJsonSchema({"type": "string"}),  # before it is read, it need not look like a URL
]
# An empty text is none: clients in many languages send all fields.
MaybePicture = Annotated[Picture | None, BeforeValidator(lambda value: value or None)]
