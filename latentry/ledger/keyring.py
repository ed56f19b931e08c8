"""API keys in the ledger: entered, authorized, rotated, revoked, and never deleted."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from latentry.api_keys import ALL_SCOPES, ApiKey, Scope
from latentry.contracts import Provenance
from latentry.ledger.connection import Command

# Compared with where there is no such key: no secret has this digest.
_NO_DIGEST: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Allowance:
    """A key's limits; 0 sets none. `weight`: its tenant's share of the workers."""

    per_minute: int = 0
    burst: int = 0
    jobs: int = 0
    step_megapixels: int = 0
    weight: int = 1


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key as the ledger has it. Times are Unix milliseconds by the ledger's clock.

    provenance: the least that files of its jobs must say.
    """

    id: str
    tenant: str
    name: str = ""
    scopes: frozenset[Scope] = ALL_SCOPES
    allowance: Allowance = field(default_factory=Allowance)
    provenance: Provenance = Provenance.NONE
    created_ms: int = 0
    expires_ms: int | None = None
    revoked_ms: int | None = None
    used_ms: int | None = None

    @classmethod
    def read(cls, id: str, flat: Sequence[str]) -> Self:
        """A record from HGETALL's answer."""
        row = dict(zip(flat[::2], flat[1::2], strict=True))
        numbers = ("per_minute", "burst", "jobs", "step_megapixels", "weight")
        known = {scope.value for scope in Scope}
        return cls(
            id=id,
            tenant=row["tenant"],
            name=row["name"],
            # A scope that this version does not know allows nothing here.
            scopes=frozenset(Scope(word) for word in row["scopes"].split() if word in known),
            allowance=Allowance(**{name: int(row[name]) for name in numbers}),
            provenance=_provenance(row.get("provenance", Provenance.NONE)),
            created_ms=int(row["created_ms"]),
            expires_ms=_int(row.get("expires_ms")),
            revoked_ms=_int(row.get("revoked_ms")),
            used_ms=_int(row.get("used_ms")),
        )

    def state(self, at_ms: int) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= at_ms else "active"


@dataclass(frozen=True, slots=True)
class Authorization:
    """Whether a key is valid, whose it is, and how many requests it has left."""

    any_keys: bool
    key: KeyRecord | None = None
    left: int = 0
    wait_ms: int = 0
    full_ms: int = 0

    @property
    def too_many(self) -> bool:
        """Whether this request is one more than the key may make."""
        return self.left < 0


def authorize(presented: ApiKey | None) -> Command[Authorization]:
    """Take one request of this key; without one, only ask whether there are keys at all."""
    id, digest = (presented.id, presented.digest) if presented else ("", "")

    def read(answer: Sequence[Any]) -> Authorization:
        any_keys, *rest = answer
        digests, flat, *rate = rest or ([_NO_DIGEST], [])
        # Compare with all, whatever the first says, and take as long where there is no such key.
        matches = [hmac.compare_digest(digest, known) for known in digests]
        if not any(matches):
            return Authorization(bool(any_keys))
        return Authorization(bool(any_keys), KeyRecord.read(id, flat), *rate)

    return Command("keyring/authorize", (id, digest), read)


@dataclass(frozen=True, slots=True)
class Taken:
    """Requests that a key could make at once, how many are left; ms until the least, and all."""

    count: int
    left: int = 0
    wait_ms: int = 0
    full_ms: int = 0


def take_more(id: str, count: int, *, least: int = 1) -> Command[Taken]:
    """Take several requests of this key, or as many as it has left, if these are the `least`.

    It takes them once.
    """
    args = (id, count, secrets.token_hex(8), least)
    return Command("keyring/take_more", args, lambda answer: Taken(*answer))


def enter(
    key: ApiKey,
    tenant: str,
    *,
    name: str = "",
    scopes: frozenset[Scope] = ALL_SCOPES,
    allowance: Allowance = Allowance(),
    provenance: Provenance = Provenance.NONE,
    ttl_ms: int = 0,
) -> Command[bool]:
    """Enter a key; one that is there already stays as it is.

    False: the id is taken by a key with another secret.
    """
    limits = (
        ("per_minute", allowance.per_minute),
        ("burst", allowance.burst),
        ("jobs", allowance.jobs),
        ("step_megapixels", allowance.step_megapixels),
        ("weight", allowance.weight),
    )
    words = (
        ("tenant", tenant),
        ("name", name),
        ("scopes", " ".join(sorted(scopes))),
        ("provenance", provenance.value),
    )
    fields = [part for pair in (*words, *limits) for part in pair]
    return Command("keyring/enter", (key.id, key.digest, ttl_ms, *fields), bool)


def rotate(fresh: ApiKey, *, grace_ms: int) -> Command[KeyRecord | None]:
    """Give the key of this id this secret; the one before works for a while yet.

    None: there is no such key, or it is revoked.
    """

    def read(flat: Sequence[str]) -> KeyRecord | None:
        return KeyRecord.read(fresh.id, flat) if flat else None

    return Command("keyring/rotate", (fresh.id, fresh.digest, grace_ms), read)


def revoke(id: str) -> Command[bool]:
    """Revoke a key for good. False: there is no such key."""
    return Command("keyring/revoke", (id,), bool)


def list_keys() -> Command[tuple[int, list[KeyRecord]]]:
    """The time, and every key there ever was, the oldest first."""

    def read(answer: Sequence[Any]) -> tuple[int, list[KeyRecord]]:
        return int(answer[0]), [KeyRecord.read(id, flat) for id, flat in answer[1]]

    return Command("keyring/list_keys", (), read)


def _provenance(word: str) -> Provenance:
    """What a later version may know and this one does not, requires all."""
    return Provenance(word) if word in list(Provenance) else Provenance.FULL


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)
