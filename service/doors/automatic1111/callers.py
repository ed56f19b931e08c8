"""Who may call: HTTP Basic with the key as password, or a bearer token."""

from typing import Annotated

from fastapi import Depends

from latentry.api_keys import Scope
from service.access.auth import Allowed, Caller
from service.access.schemes import BASIC

MayDraw = Annotated[Caller, Depends(Allowed(Scope.WRITE, BASIC))]
MaySee = Annotated[Caller, Depends(Allowed(Scope.READ, BASIC))]
