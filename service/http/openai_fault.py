"""A failure as OpenAI's error object, which problems carry too: OpenAI's clients read no other."""

from typing import Final

from latentry import errors
from latentry.contracts.problems import Fault
from latentry.errors import LatentryError
from service.http.failures import Failure

INVALID: Final = "invalid_request_error"
# OpenAI's type and code where it has its own; else a code is ours.
_OPENAI_S: Final[dict[type[LatentryError], tuple[str, str]]] = {
    errors.UnknownModel: (INVALID, "model_not_found"),
    errors.Unauthenticated: (INVALID, "invalid_api_key"),
    errors.RateLimited: ("requests", "rate_limit_exceeded"),
    errors.TooManyJobs: ("requests", "rate_limit_exceeded"),
    errors.QuotaExceeded: ("insufficient_quota", "insufficient_quota"),
    errors.FileQuotaExceeded: ("insufficient_quota", "insufficient_quota"),
    errors.PromptRefused: (INVALID, "content_policy_violation"),
    errors.PictureRefused: ("image_generation_user_error", "moderation_blocked"),
}
_BY_CODE: Final = {error.code: names for error, names in _OPENAI_S.items()}
_PARAMS: Final = {"width": "size", "height": "size"}


def fault(failure: Failure) -> Fault:
    """The error object of a failure."""
    default = INVALID if failure.status < 500 else "server_error"
    kind, code = _BY_CODE.get(failure.code, (default, failure.code))
    name = next(iter(failure.fields), "").removeprefix("/")
    if failure.code == errors.UnknownModel.code:
        name = "model"
    param = _PARAMS.get(name, name) or None
    return Fault(message=failure.detail, type=kind, param=param, code=code)
