"""Who signs bytes: a private key in a file, or a command that has it elsewhere."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from latentry.errors import ConfigurationError, SigningFailed
from latentry.provenance.signing.chain import Chain
from latentry.provenance.signing.command import answer

# Bytes to their signature: of an EC key in DER, of an RSA key PSS with salt as long as the hash.
Sign: TypeAlias = Callable[[bytes], bytes]
COMMAND_WITHIN_S: Final = 10.0
_TEST: Final = b"latentry tests its signer"
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "ES256": hashes.SHA256(),
    "ES384": hashes.SHA384(),
    "ES512": hashes.SHA512(),
    "PS256": hashes.SHA256(),
}
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)


def key_pem(path: Path) -> str:
    """The key in a file, without a password. Raises ConfigurationError."""
    try:
        text = path.read_text()
        load_pem_private_key(text.encode(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"{path} cannot be read as a PEM private key without a password."
        ) from None
    return text


def sign_by_key(pem: str, algorithm: str) -> Sign:
    """By a key that is at hand."""
    key = load_pem_private_key(pem.encode(), None)

    def sign(data: bytes) -> bytes:
        match key:
            case ec.EllipticCurvePrivateKey():
                return key.sign(data, ec.ECDSA(_HASHES[algorithm]))
            case rsa.RSAPrivateKey():
                return key.sign(data, _PSS, _HASHES[algorithm])
            case ed25519.Ed25519PrivateKey():
                return key.sign(data)
        raise SigningFailed

    return sign


def sign_by_command(command: str) -> Sign:
    """By a command: bytes on standard input, their signature on standard output."""
    words = shlex.split(command)

    def sign(data: bytes) -> bytes:
        try:
            status, signature = answer(words, data, within_s=COMMAND_WITHIN_S)
        except (OSError, TimeoutError) as error:
            raise SigningFailed("The command that signs pictures did not answer.") from error
        except ValueError as error:
            raise SigningFailed(
                "The command that signs pictures printed more than a signature."
            ) from error
        if status or not signature:
            raise SigningFailed(f"The command that signs pictures ended with {status}.")
        return signature

    return sign


def checked(sign: Sign, chain: Chain) -> Sign:
    """The same, and each signature is tried with the chain's certificate before it is used.

    A command's key may change while we run, and what it prints may be anything.
    """
    key = load_pem_x509_certificate(chain.signer_pem.encode()).public_key()

    def sign_checked(data: bytes) -> bytes:
        try:
            signature = sign(data)
            match key:
                case ec.EllipticCurvePublicKey():
                    key.verify(signature, data, ec.ECDSA(_HASHES[chain.algorithm]))
                case rsa.RSAPublicKey():
                    key.verify(signature, data, _PSS, _HASHES[chain.algorithm])
                case ed25519.Ed25519PublicKey():
                    key.verify(signature, data)
        except (InvalidSignature, TypeError, ValueError, KeyError):
            raise SigningFailed(
                "The signer's key does not belong to the certificate of"
                " LATENTRY_C2PA_CERTIFICATE_FILE."
            ) from None
        return signature

    return sign_checked


def check(sign: Sign, chain: Chain) -> None:
    """Raises ConfigurationError if what it signs is not of the chain's key."""
    try:
        checked(sign, chain)(_TEST)
    except SigningFailed as error:
        raise ConfigurationError(error.message) from error
