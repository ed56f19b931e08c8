"""Authentication and authorization. A route declares by its caller's type which scope it needs."""

from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, Request
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
from service.access.schemes import BEARER, Scheme

log = structlog.get_logger()

_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is made. While there are no keys, all callers are one tenant."""

    tenant: str
    key_id: str = NOBODY
    scopes: frozenset[Scope] = ALL_SCOPES
    allowance: Allowance = field(default_factory=Allowance)
    usage_ttl_ms: int = USAGE_TTL_MS

    @property
    def weight(self) -> int:
        """The tenant's weight in fair queueing."""
        return self.allowance.weight

    @property
    def account(self) -> Account:
        """Who is charged for this caller's jobs, and within which limits."""
        return Account(
            payer=self.key_id,
            max_jobs=self.allowance.jobs,
            max_step_pixels=self.allowance.step_megapixels * 1_000_000,
            usage_ttl_ms=self.usage_ttl_ms,
        )


class Gatekeeper:
    """Checks every key with the ledger. While the ledger does not respond, nobody is admitted."""

    def __init__(self, settings: Settings, ledger: AsyncLedger) -> None:
        self._ledger = ledger
        self._usage_ttl_ms = settings.usage_ttl_days * DAY_MS
        self._bootstrap = bootstrap_key(settings)
        # Keys are revoked but never deleted: once there is one, one is always required.
        self._needs_key = (
            settings.auth == "on" or self._bootstrap is not None or not is_loopback(settings.host)
        )
        self._is_off = settings.auth == "off"
        self._hosts = {*_LOCAL_HOSTS, settings.host, urlsplit(settings.base_url).hostname}

    async def open(self) -> None:
        """Register the bootstrap key now, or with the first request if the ledger is away."""
        try:
            await self._enter_bootstrap_key()
        except LedgerUnavailable:
            log.warning("bootstrap_key.deferred")

    async def admit(self, key: ApiKey | None, host: str) -> Admission:
        """The ledger's answer to a presented key. `host` is the request's Host header.

        Raises Unauthenticated, HostRefused or LedgerUnavailable.
        """
        await self._enter_bootstrap_key()
        admission = Admission(any_keys=False)
        if not self._is_off:
            if key is None and self._needs_key:
                raise Unauthenticated
            admission = await self._ledger.run(keyring.authorize(key))
            self._needs_key |= admission.any_keys
            if admission.key:
                return admission
            if self._needs_key:
                raise Unauthenticated
        # Without keys, a web page whose name resolves to 127.0.0.1 could call us (DNS rebinding).
        if _hostname(host) not in self._hosts:
            raise HostRefused
        return admission

    def caller(self, admission: Admission) -> Caller:
        """The caller whom an admission describes."""
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
    """A dependency: the caller, if their key has a scope. `scheme` is the door's."""

    def __init__(self, scope: Scope, scheme: Scheme = BEARER) -> None:
        self.scope = scope
        self.model = scheme.model
        self.scheme_name = scheme.name
        self._scheme = scheme

    async def __call__(self, request: Request) -> Caller:
        """Raises Unauthenticated, HostRefused, RateLimited or InsufficientScope."""
        gatekeeper: Gatekeeper = request.app.state.gateway.gatekeeper
        state = request.state
        if not hasattr(state, "admission"):  # once per request: it counts against the rate limit
            state.admission = await self._admitted(gatekeeper, request)
        admission: Admission = state.admission
        state.headers = _rate_limit_headers(admission)
        if admission.too_many:
            raise RateLimited(retry_after_s=_seconds(admission.wait_ms))
        caller = gatekeeper.caller(admission)
        if self.scope not in caller.scopes:
            raise InsufficientScope(f"The API key lacks the required scope, {self.scope}.")
        return caller

    async def _admitted(self, gatekeeper: Gatekeeper, request: Request) -> Admission:
        key = self._scheme.read(request.headers.get("authorization", ""))
        try:
            return await gatekeeper.admit(key, request.headers.get("host", ""))
        except Unauthenticated:
            request.state.headers = {"WWW-Authenticate": self._scheme.challenge}
            raise


MayWrite = Annotated[Caller, Depends(Allowed(Scope.WRITE))]
MayRead = Annotated[Caller, Depends(Allowed(Scope.READ))]
MayUpload = Annotated[Caller, Depends(Allowed(Scope.FILES))]
MaySeeUsage = Annotated[Caller, Depends(Allowed(Scope.USAGE))]


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # malformed
        return None


def _rate_limit_headers(admission: Admission) -> dict[str, str]:
    """The `RateLimit` headers of draft-ietf-httpapi-ratelimit-headers-10."""
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
