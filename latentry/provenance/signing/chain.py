"""The certificate chain that signs pictures: whose it is, which algorithm, and until when.

What a signer's certificate must have is in C2PA's specification 2.2, section 14.5.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from latentry.settings.provenance import CHAIN_FILE, EARLIER

WARN_BEFORE: Final = timedelta(days=30)
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain in PEM, the signer's certificate first, and without its root.

    authorities: all above the signer. serial: of the signer. algorithm: by C2PA's name.
    """

    pem: str
    authorities: str
    serial: str
    algorithm: str
    begins: datetime
    ends: datetime

    @classmethod
    def read(cls, path: Path) -> Self:
        """The chain in a file. Raises ConfigurationError for one that cannot sign."""
        try:
            certificates = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as a PEM certificate chain ({error})."
            ) from None
        signer = certificates[0]
        _refuse_authority(path, signer)
        return cls(
            pem="".join(_pem(one) for one in _without_root(certificates)),
            authorities="".join(map(_pem, certificates[1:])),
            serial=str(signer.serial_number),
            algorithm=_algorithm(path, signer),
            begins=signer.not_valid_before_utc,
            ends=min(one.not_valid_after_utc for one in certificates),
        )

    @property
    def signer_pem(self) -> str:
        """The signer's own certificate."""
        end = "-----END CERTIFICATE-----\n"
        return self.pem.partition(end)[0] + end

    def holds(self, now: datetime) -> bool:
        """Whether it is valid at this time."""
        return self.begins <= now < self.ends

    def seconds_left(self, now: datetime) -> float:
        """Until it expires; negative since then."""
        return (self.ends - now).total_seconds()

    def complaint(self, now: datetime) -> str:
        """A sentence if it has expired or does so within 30 days; else empty."""
        on = f"{self.ends:%Y-%m-%d %H:%M} UTC"
        if now >= self.ends:
            return f"The certificate that signs pictures expired on {on}; replace it."
        if now < self.begins:
            return f"The certificate that signs pictures is valid from {self.begins:%Y-%m-%d} on."
        if self.ends - now < WARN_BEFORE:
            return f"The certificate that signs pictures expires on {on}; replace it before."
        return ""


@dataclass(frozen=True, slots=True)
class KnownSigners:
    """Whom verification knows, in PEM. trust: the authorities of trusted signers.

    Our own signers are those with these serials, below these authorities.
    """

    trust: str = ""
    authorities: str = ""
    serials: tuple[str, ...] = ()

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """Those that the settings name. Raises ConfigurationError."""
        paths = [settings.c2pa_chain, settings.c2pa_folder / CHAIN_FILE]
        earlier = sorted(settings.c2pa_folder.glob(f"{EARLIER}*.pem"))
        own = [Chain.read(path) for path in (*paths, *earlier) if path and path.exists()]
        return cls(
            trust=_authorities(Path(settings.c2pa_trust_file)) if settings.c2pa_trust_file else "",
            authorities="".join(one.authorities for one in own),
            serials=tuple(one.serial for one in own),
        )


def now() -> datetime:
    """The time, by which certificates are judged."""
    return datetime.now(UTC)


def _authorities(path: Path) -> str:
    try:
        return "".join(map(_pem, x509.load_pem_x509_certificates(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as PEM certificates ({error}).") from None


def _refuse_authority(path: Path, signer: x509.Certificate) -> None:
    try:
        is_authority = signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if is_authority:
        raise ConfigurationError(
            f"{path} must begin with the signer's certificate, and begins with an authority's."
        )


def _without_root(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    """A root need not travel with every picture: who trusts it has it."""
    kept = [one for one in certificates[1:] if one.subject != one.issuer]
    return [certificates[0], *kept]


def _algorithm(path: Path, signer: x509.Certificate) -> str:
    match signer.public_key():
        case ec.EllipticCurvePublicKey(curve=curve) if curve.name in _CURVES:
            return _CURVES[curve.name]
        case ed25519.Ed25519PublicKey():
            return "ED25519"
        case rsa.RSAPublicKey():
            return "PS256"
    raise ConfigurationError(f"{path} has a key that C2PA does not sign with.")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
