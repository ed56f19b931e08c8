"""Authentication and authorization. A route declares by its caller's type which scope it needs."""

from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, Request
from fastapi.security.base import SecurityBase

from latentry.addresses import is_loopback
from latentry.api_keys import ALL_SCOPES, DEFAULT_TENANT, ApiKey, Scope
from latentry.contracts import Provenance
from latentry.errors import (
    HostRefused,
    InsufficientScope,
    LedgerUnavailable,
    RateLimited,
    Unauthenticated,
)
from latentry.ledger import AsyncLedger, keyring
from latentry.ledger.accounts import DAY_MS, NO_KEY, USAGE_TTL_MS, Account
from latentry.ledger.keyring import Allowance, Authorization
from latentry.settings import Settings
from service.access.opening import bootstrap_key
from service.access.schemes import BEARER, Scheme

log = structlog.get_logger()

_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is made. While there are no keys, all callers are one tenant."""

    tenant: str
    key_id: str = NO_KEY
    scopes: frozenset[Scope] = ALL_SCOPES
    allowance: Allowance = field(default_factory=Allowance)
    usage_ttl_ms: int = USAGE_TTL_MS
    provenance: Provenance = Provenance.NONE  # the least that files of its jobs must say

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
    """Checks every key with the ledger; refuses all requests while the ledger does not respond."""

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

    async def authorize(self, key: ApiKey | None, host: str) -> Authorization:
        """The ledger's answer to a presented key. `host` is the request's Host header.

        Raises Unauthenticated, HostRefused or LedgerUnavailable.
        """
        await self._enter_bootstrap_key()
        authorization = Authorization(any_keys=False)
        if not self._is_off:
            if key is None and self._needs_key:
                raise Unauthenticated
            authorization = await self._ledger.run(keyring.authorize(key))
            self._needs_key |= authorization.any_keys
            if authorization.key:
                return authorization
            if self._needs_key:
                raise Unauthenticated
        # Without keys, a web page whose name resolves to 127.0.0.1 could call us (DNS rebinding).
        if _hostname(host) not in self._hosts:
            raise HostRefused
        return authorization

    def caller(self, authorization: Authorization) -> Caller:
        """The caller whom an authorization describes."""
        if authorization.key is None:
            return Caller(DEFAULT_TENANT, usage_ttl_ms=self._usage_ttl_ms)
        key = authorization.key
        of_key = (key.tenant, key.id, key.scopes, key.allowance)
        return Caller(*of_key, self._usage_ttl_ms, key.provenance)

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
        if not hasattr(
            state, "authorization"
        ):  # once per request: it counts against the rate limit
            state.authorization = await self._authorize(gatekeeper, request)
        authorization: Authorization = state.authorization
        if authorization.key is not None:
            allowance = authorization.key.allowance
            state.headers = rate_limit_headers(allowance, authorization.left, authorization.full_ms)
        if authorization.too_many:
            raise RateLimited(retry_after_s=_seconds(authorization.wait_ms))
        caller = gatekeeper.caller(authorization)
        if self.scope not in caller.scopes:
            raise InsufficientScope(f"The API key lacks the required scope, {self.scope}.")
        return caller

    async def _authorize(self, gatekeeper: Gatekeeper, request: Request) -> Authorization:
        key = self._scheme.read(request.headers.get("authorization", ""))
        try:
            return await gatekeeper.authorize(key, request.headers.get("host", ""))
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


def rate_limit_headers(allowance: Allowance, left: int, full_ms: int) -> dict[str, str]:
    """The `RateLimit` headers of draft-ietf-httpapi-ratelimit-headers-10, and OpenAI's.

    `left`: requests, or less than 0; `full_ms`: until all are back.
    """
    if not allowance.per_minute:
        return {}
    left, full_s = max(left, 0), _seconds(full_ms)
    window_s = _seconds(60_000 * allowance.burst // allowance.per_minute)
    return {
        "RateLimit-Policy": f'"requests";q={allowance.burst};w={window_s}',
        "RateLimit": f'"requests";r={left};t={full_s}',
        # The same for OpenAI's clients, by the names that they read.
        "x-ratelimit-limit-requests": str(allowance.burst),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": f"{full_s}s",
    }


def _seconds(ms: int) -> int:
    return -(-ms // 1000)
