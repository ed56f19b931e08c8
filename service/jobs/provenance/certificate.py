"""The certificate that signs pictures, as far as a gateway can see it."""

from dataclasses import dataclass
from typing import Self

from latentry.errors import Unavailable
from latentry.provenance.signing.chain import Chain, now
from latentry.settings import Settings


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether pictures can be signed now; without a chain here that is the workers' own affair."""

    chain: Chain | None = None
    must_sign: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of the settings. Raises ConfigurationError."""
        path = settings.c2pa_chain
        return cls(Chain.read(path) if path else None, settings.c2pa_unsigned == "refuse")

    def refuse_expired(self) -> None:
        """Raises Unavailable once no picture can be signed, if all must be."""
        if self.chain is not None and self.must_sign and not self.chain.holds(now()):
            raise Unavailable(self.chain.complaint(now()))
