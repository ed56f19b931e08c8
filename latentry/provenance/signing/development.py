"""A chain of one's own, for pictures that are signed before anybody vouches for the signer.

C2PA refuses what `openssl req -x509` makes: the signer must be no authority, may sign, is for
e-mail protection (or document signing), and names its authority's key.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from latentry.errors import ConfigurationError
from latentry.provenance.signing.chain import WARN_BEFORE, Chain, now
from latentry.settings.provenance import CHAIN_FILE, EARLIER, KEY_FILE

ROOT_FILE: Final = "root.pem"
LIFE: Final = timedelta(days=3 * 365)
_BACK: Final = timedelta(hours=1)  # clocks of a fleet differ
_Key = ec.EllipticCurvePrivateKey


def ensure_chain(folder: Path) -> bool:
    """Make a chain in the folder, unless there is one for a month yet. True: it is new.

    Chains before this one stay in `earlier-*.pem`, so that their pictures are still known as ours.
    """
    path = folder / CHAIN_FILE
    if path.exists():
        try:
            chain = Chain.read(path)
        except ConfigurationError:
            pass  # damaged: nothing can be signed with it
        else:
            if chain.ends - now() > WARN_BEFORE and (folder / KEY_FILE).exists():
                return False
            path.replace(folder / f"{EARLIER}{chain.serial}.pem")
    folder.mkdir(parents=True, exist_ok=True)
    begins = now() - _BACK
    chain_pem, key_pem, root_pem = new_chain(begins, begins + LIFE)
    _write(folder / KEY_FILE, key_pem)
    _write(folder / ROOT_FILE, root_pem)
    _write(path, chain_pem)
    return True


def new_chain(begins: datetime, ends: datetime) -> tuple[bytes, bytes, bytes]:
    """In PEM: a signer's certificate and its root's, the signer's key, the root's certificate.

    ES256. The root's key is dropped: it signs this once.
    """
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, signer = _name("latentry development root"), _name("latentry development signer")

    def certificate(subject: x509.Name, own: _Key) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        )

    root = (
        certificate(authority, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = (
        certificate(signer, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(issued_by, False)
        .sign(root_key, hashes.SHA256())
    )
    root_pem = root.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return leaf.public_bytes(Encoding.PEM) + root_pem, secret, root_pem


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "latentry (development)"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, text: bytes) -> None:
    """Whole or not at all, readable by its owner only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
    draft.replace(path)
