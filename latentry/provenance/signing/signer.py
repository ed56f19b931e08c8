"""Signs a picture's file: C2PA's manifest and its signature become part of it.

The library is told never to dial an address that a file names. A manifest that came with somebody's
picture is not parsed here but in a confined process, which never sees the key.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import c2pa
import structlog

from latentry.errors import ConfigurationError, SigningFailed
from latentry.provenance.confined.process import Ingredient, sign_confined
from latentry.provenance.signing.chain import Chain, now
from latentry.provenance.signing.keys import (
    Sign,
    check,
    checked,
    key_pem,
    sign_by_command,
    sign_by_key,
)
from latentry.settings import Settings

log = structlog.get_logger()

# For every Context of the library's: no address of a file's is dialed, no thumbnail is drawn, and
# no action is added to those that a manifest names.
C2PA_SETTINGS: Final[Mapping[str, Any]] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    "builder": {
        "thumbnail": {"enabled": False},
        "actions": {
            "auto_created_action": {"enabled": False},
            "auto_opened_action": {"enabled": False},
            "auto_placed_action": {"enabled": False},
        },
    },
}


class Signer:
    """A chain and the key that goes with it. Threads share one."""

    def __init__(
        self, chain: Chain, *, key: str = "", command: str = "", timestamp_url: str = ""
    ) -> None:
        """`key` in PEM, or the `command` that has it. Raises ConfigurationError."""
        self.chain: Final = chain
        self._sign: Final[Sign] = (
            _told(checked(sign_by_command(command), chain))
            if command
            else sign_by_key(key, chain.algorithm)
        )
        self._key = "" if command else key
        self._timestamp_url = timestamp_url
        self._context = c2pa.Context.from_dict(dict(C2PA_SETTINGS))
        check(self._sign, chain)
        self._native = self._opened("")
        self._stamping = self._opened(timestamp_url) if timestamp_url else None

    @classmethod
    def open(cls, settings: Settings) -> Self | None:
        """The signer that the settings name; None if they name none. Raises ConfigurationError."""
        path = settings.c2pa_chain
        if path is None:
            return None
        chain, key = Chain.read(path), settings.c2pa_key
        if key is None and not settings.c2pa_sign_command:
            raise ConfigurationError(
                "LATENTRY_C2PA_CERTIFICATE_FILE needs LATENTRY_C2PA_KEY_FILE or"
                " LATENTRY_C2PA_SIGN_COMMAND."
            )
        return cls(
            chain,
            key=key_pem(key) if key and not settings.c2pa_sign_command else "",
            command=settings.c2pa_sign_command,
            timestamp_url=settings.c2pa_timestamp_url,
        )

    def signed(
        self,
        file: bytes,
        content_type: str,
        definition: Mapping[str, Any],
        ingredients: Sequence[Ingredient] = (),
    ) -> bytes:
        """The same file with its manifest. Raises SigningFailed.

        `ingredients`: pictures that came with manifests of their own.
        """
        if complaint := self._is_over():
            raise SigningFailed(complaint)
        if ingredients:
            return sign_confined(
                file,
                content_type,
                definition,
                ingredients,
                chain=self.chain.pem,
                algorithm=self.chain.algorithm,
                sign=self._sign,
            )
        if self._stamping is not None:
            try:
                return self._embedded(self._stamping, file, content_type, definition)
            except c2pa.C2paError as error:
                log.warning("c2pa.timestamp_failed", why=str(error)[:200])
        try:
            return self._embedded(self._native, file, content_type, definition)
        except c2pa.C2paError as error:
            log.error("c2pa.signing_failed", why=str(error)[:200])
            raise SigningFailed from error

    def _is_over(self) -> str:
        time = now()
        return "" if self.chain.holds(time) else self.chain.complaint(time)

    def _embedded(
        self, signer: c2pa.Signer, file: bytes, content_type: str, definition: Mapping[str, Any]
    ) -> bytes:
        into = io.BytesIO()
        with c2pa.Builder(dict(definition), self._context) as builder:
            builder.sign(signer, content_type, io.BytesIO(file), into)
        return into.getvalue()

    def _opened(self, timestamp_url: str) -> c2pa.Signer:
        algorithm, chain = self.chain.algorithm, self.chain.pem
        try:
            if self._key:  # which reserves 10 KB less in each file than a callback
                return c2pa.Signer.from_info(
                    c2pa.C2paSignerInfo(
                        alg=algorithm.lower(),
                        sign_cert=chain.encode(),
                        private_key=self._key.encode(),
                        ta_url=timestamp_url or None,
                    )
                )
            kind = c2pa.C2paSigningAlg[algorithm]
            return c2pa.Signer.from_callback(self._sign, kind, chain, timestamp_url or None)
        except c2pa.C2paError as error:
            raise ConfigurationError(
                f"The certificate chain cannot sign pictures ({str(error)[:200]})."
            ) from None


def _told(sign: Sign) -> Sign:
    """The same, and the log has why it failed: the library passes no reason on."""

    def sign_told(data: bytes) -> bytes:
        try:
            return sign(data)
        except SigningFailed as error:
            log.error("c2pa.command_failed", why=error.message)
            raise

    return sign_told
