"""The base classes of requests and responses. Their errors omit the input: it may be a prompt."""

from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

T = TypeVar("T")
_NULL: Final = {"type": "null"}


class RequestModel(BaseModel):
    """Base of what clients send: unknown fields and non-finite numbers are refused.

    An optional field that is null counts as omitted: clients in many languages send all fields.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def optional_fields(cls) -> frozenset[str]:
        """The names of the fields that may be omitted or null."""
        return frozenset(n for n, field in cls.model_fields.items() if not field.is_required())

    @model_validator(mode="before")
    @classmethod
    def _omit_nulls(cls, body: Any) -> Any:
        if not isinstance(body, dict) or None not in body.values():
            return body
        optional = cls.optional_fields()
        return {n: value for n, value in body.items() if value is not None or n not in optional}

    @model_validator(mode="before")
    @classmethod
    def _read_whole_numbers(cls, body: Any) -> Any:
        # JSON has one kind of numbers: 12.0 is an integer (JSON Schema 2020-12, section 6.1.1).
        return {n: _whole(value) for n, value in body.items()} if isinstance(body, dict) else body

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The JSON schema, in which every optional field may be null."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name in cls.optional_fields():
            properties[name] = _or_null(properties[name])
        return schema


def _whole(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _or_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    if _NULL in schema.get("anyOf", ()):
        return schema
    bare, notes = dict(schema), dict[str, Any]()
    for key in ("title", "description", "default"):
        if key in bare:
            notes[key] = bare.pop(key)
    return {"anyOf": [bare, _NULL]} | notes


class ResponseModel(BaseModel):
    """Base of what the service sends: readers ignore unknown fields, so new ones can be added."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The JSON schema, in which all is required that answers always have.

        What may be null is not: events leave it out. So clients made of the document know that a
        job has `images`, though readers of older answers have a default for it.
        """
        schema = handler(core_schema)
        whole = handler.resolve_ref_schema(schema)
        properties = whole.get("properties", {})
        if always := [name for name in properties if cls._is_sent(name, properties[name])]:
            whole["required"] = always
        return schema

    @classmethod
    def _is_sent(cls, name: str, schema: JsonSchemaValue) -> bool:
        field = cls.model_fields[name]
        return field.is_required() or not (field.exclude_if or _NULL in schema.get("anyOf", ()))


class Listing(ResponseModel, Generic[T]):
    """Base of responses that list things: iterating over one gives them."""

    data: list[T]

    def __iter__(self) -> Iterator[T]:  # type: ignore[override]  # pydantic's gives fields
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> T:
        return self.data[index]
