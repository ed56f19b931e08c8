"""The two base classes of everything on a wire. Their errors never quote a prompt into a log."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """What a client says to us: unknown fields and non-finite numbers are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class ResponseModel(BaseModel):
    """What we say: readers ignore fields they do not know, so that we may add some."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True
    )
