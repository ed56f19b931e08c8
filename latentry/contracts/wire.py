"""The base classes of requests and responses. Their errors omit the input: it may be a prompt."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """Base of what clients send: unknown fields and non-finite numbers are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class ResponseModel(BaseModel):
    """Base of what the service sends: readers ignore unknown fields, so new ones can be added."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True
    )
