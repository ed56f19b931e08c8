"""Errors: RFC 9457 problem details with a stable code."""

from pydantic import Field

from latentry.contracts.wire import ResponseModel

PROBLEM_JSON = "application/problem+json"


class JobError(ResponseModel):
    """Why a job, or one picture of it, failed: a stable code and a sentence."""

    code: str
    message: str


class FieldError(ResponseModel):
    """One error in a body, a query or a header."""

    pointer: str = Field(description="JSON pointer into the body, or the name of the parameter.")
    detail: str


class Fault(ResponseModel):
    """OpenAI's error object, with its codes and types. All four keys are always present."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(ResponseModel):
    """`code` is for programs and never changes; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    request_id: str | None = None
    errors: list[FieldError] = Field(default_factory=list)
    error: Fault | None = Field(None, description="The same for clients of OpenAI's API.")
