"""Full names of jobs and files. The tenant is part of each, so that no key exists without one."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

_USER_DIGITS: Final = 32  # 128 bits


@dataclass(frozen=True, slots=True)
class Ref:
    """A tenant and an id, written `tenant:id`. Tenants have no colon in their names."""

    tenant: str
    id: str

    def __str__(self) -> str:
        return f"{self.tenant}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`."""
        tenant, _, id = text.partition(":")
        return cls(tenant, id)


class JobRef(Ref):
    """A job's full name."""

    __slots__ = ()


def user_id(name: str) -> str:
    """What a tenant's user is called in records and keys: short, and nobody's name."""
    return sha256(name.encode()).hexdigest()[:_USER_DIGITS]
