"""What the base classes of requests and responses say of their fields."""

import pytest
from pydantic import Field, TypeAdapter

from latentry.contracts.wire import ResponseModel


class Told(ResponseModel):
    """An answer with a field of each kind."""

    id: str
    many: list[int] = Field(default_factory=list)
    count: int = 0
    perhaps: int | None = None
    seldom: str = Field("", exclude_if=lambda text: not text)


class Nothing(ResponseModel):
    """An answer that may be empty."""

    perhaps: int | None = None


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_the_document_requires_of_answers_what_they_always_have(mode) -> None:
    schema = TypeAdapter(Told).json_schema(mode=mode)
    assert schema["required"] == ["id", "many", "count"]
    sent = Told(id="a").model_dump(exclude_none=True)
    assert sent.keys() == {*schema["required"]}
    assert "required" not in TypeAdapter(Nothing).json_schema(mode=mode)


def test_a_reader_takes_an_older_answer_without_them() -> None:
    assert Told.model_validate_json('{"id": "a", "new": 1}').many == []
