"""Full names of jobs and files. The tenant is part of each, so that no key exists without one."""

from dataclasses import dataclass
from typing import Self


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
