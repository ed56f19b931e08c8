"""What pictures' files say of their making, and who signs it."""

import shlex
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from latentry.contracts import Provenance
from latentry.settings.section import LocalPathText, Word
from latentry.settings.stores import StoreSettings

CHAIN_FILE, KEY_FILE, EARLIER = "chain.pem", "key.pem", "earlier-"
_FOLDER: Final = "c2pa"


class ProvenanceSettings(StoreSettings):
    """Marks, their signer, and whom verification trusts."""

    provenance: Word = Field(
        Provenance.NONE.value,
        pattern=r"^(none|minimal|full)$",
        description="The least that files must say of their making; requests for less are refused."
        " Requests that do not say get `full`. A key may require more.",
    )
    watermark: Word = Field(
        "off",
        pattern=r"^(off|on)$",
        description="Mark the pixels of finished pictures too. The mark survives JPEG, half the"
        " size and a crop. It changes all pixels a little, those that an edit keeps too.",
    )
    c2pa_certificate_file: LocalPathText = Field(
        "",
        description="PEM file of the certificate chain that signs pictures, the signer's first. If"
        " empty, `latentry serve` makes one for development in data_dir/c2pa.",
    )
    c2pa_key_file: LocalPathText = Field("", description="PEM file of its private key (PKCS#8).")
    c2pa_sign_command: str = Field(
        "",
        description="Command that signs instead of a key file: it gets bytes on standard input and"
        " writes their signature, ECDSA in DER or EdDSA or PSS, to standard output.",
    )
    c2pa_unsigned: Word = Field(
        "refuse",
        pattern=r"^(refuse|allow)$",
        description="When the certificate has expired or the signer fails: `refuse` fails the job"
        " and readiness; `allow` stores pictures unsigned, with a warning.",
    )
    c2pa_timestamp_url: str = Field(
        "",
        description="RFC 3161 authority that time-stamps each signature; none if empty.",
    )
    c2pa_trust_file: LocalPathText = Field(
        "",
        description="PEM file of the authorities whose signers `POST /v1/verify` calls trusted.",
    )

    @field_validator("c2pa_timestamp_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("it must be http[s]://…")
        return value

    @field_validator("c2pa_sign_command")
    @classmethod
    def _is_a_command(cls, value: str) -> str:
        shlex.split(value)  # raises ValueError for what is no command line
        return value

    @property
    def c2pa_folder(self) -> Path:
        """Where `latentry serve` keeps a chain of its own."""
        return self.data_dir / _FOLDER

    @property
    def c2pa_chain(self) -> Path | None:
        """The file of the chain that signs here, if there is one."""
        return _given_or_made(self.c2pa_certificate_file, self.c2pa_folder / CHAIN_FILE)

    @property
    def c2pa_key(self) -> Path | None:
        """The file of its key, if that is not a command's."""
        if self.c2pa_certificate_file:  # a chain of one's own never goes with the other's key
            return Path(self.c2pa_key_file) if self.c2pa_key_file else None
        return _given_or_made(self.c2pa_key_file, self.c2pa_folder / KEY_FILE)

    @property
    def least_provenance(self) -> Provenance:
        """What every file must say at least."""
        return Provenance(self.provenance)


def _given_or_made(given: str, made: Path) -> Path | None:
    return Path(given) if given else made if made.exists() else None
