"""Whose requests a rule is for."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scope:
    """All tenants' if none are named; is_relaxed: not those that ask for less moderation."""

    tenants: frozenset[str] = field(default_factory=frozenset)
    except_tenants: frozenset[str] = field(default_factory=frozenset)
    is_relaxed: bool = False

    def covers(self, tenant: str, *, is_low: bool = False) -> bool:
        """Whether a request of this tenant is among them; is_low: one that asks for less."""
        if is_low and self.is_relaxed:
            return False
        return tenant not in self.except_tenants and (not self.tenants or tenant in self.tenants)
