"""Who calls: Replicate's clients send `Bearer`, and its older ones and its examples `Token`."""

from typing import Annotated, Final

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer

from latentry.api_keys import ApiKey, Scope
from service.access.auth import Allowed, Caller
from service.access.schemes import Scheme


def _token(authorization: str) -> ApiKey | None:
    scheme, _, credentials = authorization.partition(" ")
    is_known = scheme.lower() in ("bearer", "token")
    return ApiKey.parse(credentials.strip()) if is_known else None


TOKEN: Final = Scheme(
    name="API key, as Replicate's",
    challenge="Bearer",
    model=HTTPBearer(bearerFormat="ltk_…", description="`Bearer` or `Token`, and an API key."),
    read=_token,
)

MayWrite = Annotated[Caller, Depends(Allowed(Scope.WRITE, TOKEN))]
MayRead = Annotated[Caller, Depends(Allowed(Scope.READ, TOKEN))]
MayUpload = Annotated[Caller, Depends(Allowed(Scope.FILES, TOKEN))]
