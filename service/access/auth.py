"""Who is asking, and may they? Every route says by its caller's type what that caller needs."""

from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from latentry.addresses import is_loopback
from latentry.api_keys import ALL_SCOPES, DEFAULT_TENANT, ApiKey, Scope
from latentry.errors import (
    HostRefused,
    InsufficientScope,
    LedgerUnavailable,
    RateLimited,
    Unauthenticated,
)
from latentry.ledger import AsyncLedger, keyring
from latentry.ledger.accounts import DAY_MS, NOBODY, USAGE_TTL_MS, Account
from latentry.ledger.keyring import Admission, Allowance
from latentry.settings import Settings
from service.access.opening import bootstrap_key

log = structlog.get_logger()

_HERE: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is made; everybody is one tenant while there are no keys."""

    tenant: str
    key_id: str = NOBODY
    scopes: frozenset[Scope] = ALL_SCOPES
    allowance: Allowance = field(default_factory=Allowance)
    usage_ttl_ms: int = USAGE_TTL_MS

    @property
    def weight(self) -> int:
        """This caller's share when tenants wait for each other."""
        return self.allowance.weight

    @property
    def account(self) -> Account:
        """Who pays for this caller's jobs, and within which bounds."""
        return Account(
            payer=self.key_id,
            max_jobs=self.allowance.jobs,
            max_step_pixels=self.allowance.step_megapixels * 1_000_000,
            usage_ttl_ms=self.usage_ttl_ms,
        )


class Gatekeeper:
    """Asks the ledger about every key. Where the ledger does not answer, nobody comes in."""

    def __init__(self, settings: Settings, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._usage_ttl_ms = settings.usage_ttl_days * DAY_MS
        self._bootstrap = bootstrap_key(settings)
        # Once there is a key there always is, for none is ever forgotten.
        self._needs_key = (
            settings.auth == "on" or self._bootstrap is not None or not is_loopback(settings.host)
        )
        self._is_off = settings.auth == "off"
        self._hosts = {*_HERE, settings.host, urlsplit(settings.base_url).hostname}

    async def open(self) -> None:
        """Enter the bootstrap key, or leave that to the first who knocks."""
        try:
            await self._enter_bootstrap_key()
        except LedgerUnavailable:
            log.warning("bootstrap_key.waits")

    async def admit(self, authorization: str, host: str) -> Admission:
        """What the ledger says to the key in a header. Raises Unauthenticated or HostRefused."""
        await self._enter_bootstrap_key()
        admission = Admission(any_keys=False)
        if not self._is_off:
            key = _presented(authorization)
            if key is None and self._needs_key:
                raise Unauthenticated
            admission = await self._ledger.run(keyring.authorize(key))
            self._needs_key |= admission.any_keys
            if admission.key:
                return admission
            if self._needs_key:
                raise Unauthenticated
        # A web page that its own name server leads to 127.0.0.1 is no friend (DNS rebinding).
        if _name(host) not in self._hosts:
            raise HostRefused
        return admission

    def caller(self, admission: Admission) -> Caller:
        """Whom a key stands for."""
        if admission.key is None:
            return Caller(DEFAULT_TENANT, usage_ttl_ms=self._usage_ttl_ms)
        key = admission.key
        return Caller(key.tenant, key.id, key.scopes, key.allowance, self._usage_ttl_ms)

    async def _enter_bootstrap_key(self) -> None:
        key = self._bootstrap
        if key is None:
            return
        if not await self._ledger.run(keyring.enter(key, DEFAULT_TENANT, name="bootstrap")):
            log.warning("bootstrap_key.rotated", key=key.id)
        self._bootstrap = None


class Allowed(SecurityBase):
    """A dependency: the caller, if their key may do this."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.model = HTTPBearer(bearerFormat="ltk_…", description="As `latentry keys` makes it.")
        self.scheme_name = "API key"

    async def __call__(self, request: Request) -> Caller:
        """Raises Unauthenticated, HostRefused, RateLimited or InsufficientScope."""
        gatekeeper: Gatekeeper = request.app.state.gateway.gatekeeper
        headers, state = request.headers, request.state
        if not hasattr(state, "admission"):  # once for each: it takes one of the key's requests
            state.admission = await gatekeeper.admit(
                headers.get("authorization", ""), headers.get("host", "")
            )
        admission: Admission = state.admission
        state.headers = _rate_fields(admission)
        if admission.too_many:
            raise RateLimited(retry_after_s=_seconds(admission.wait_ms))
        caller = gatekeeper.caller(admission)
        if self.scope not in caller.scopes:
            raise InsufficientScope(f"The API key is not made for this; it needs {self.scope}.")
        return caller


MayWrite = Annotated[Caller, Depends(Allowed(Scope.WRITE))]
MayRead = Annotated[Caller, Depends(Allowed(Scope.READ))]
MayUpload = Annotated[Caller, Depends(Allowed(Scope.FILES))]
MaySeeUsage = Annotated[Caller, Depends(Allowed(Scope.USAGE))]


def _presented(authorization: str) -> ApiKey | None:
    scheme, _, credentials = authorization.partition(" ")
    return ApiKey.parse(credentials.strip()) if scheme.lower() == "bearer" else None


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # no host at all
        return None


def _rate_fields(admission: Admission) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers-10 has them."""
    if not (admission.key and admission.key.allowance.per_minute):
        return {}
    allowance = admission.key.allowance
    window_s = _seconds(60_000 * allowance.burst // allowance.per_minute)
    return {
        "RateLimit-Policy": f'"requests";q={allowance.burst};w={window_s}',
        "RateLimit": f'"requests";r={max(admission.left, 0)};t={_seconds(admission.full_ms)}',
    }


def _seconds(ms: int) -> int:
    return -(-ms // 1000)
