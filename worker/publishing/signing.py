"""The last step of a file: its C2PA manifest, signed into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import structlog

from latentry.contracts import AnyRequest, InputFile, JobWarning, Provenance, StoredOutput
from latentry.errors import ConfigurationError, SigningFailed
from latentry.provenance.manifest import Claim, ingredient, manifest
from latentry.provenance.signing.chain import now
from latentry.provenance.signing.signer import Signer
from latentry.settings import Settings
from worker.claims.claimed_job import ClaimedJob
from worker.metrics import Metrics

log = structlog.get_logger()

NO_CERTIFICATE: Final = "no_certificate"
_UNSIGNED: Final = JobWarning(code="unsigned", message="The image could not be signed.")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file was made of: by which request alone, of which pictures, by which models."""

    request: AnyRequest
    inputs: Mapping[str, InputFile]
    fingerprints: tuple[str, ...] = ()
    sequence: Mapping[str, str] | None = None


class Signing:
    """Signs files while there is a signer; without one they stay as they are, and are counted."""

    def __init__(
        self, signer: Signer | None, metrics: Metrics, *, allows_unsigned: bool = False
    ) -> None:
        self._signer = signer
        self._metrics = metrics
        self._allows_unsigned = allows_unsigned
        if signer is not None:
            metrics.watch_certificate(signer.chain.ends.timestamp())

    def finish(
        self, job: ClaimedJob, output: StoredOutput, file: bytes, origin: Origin
    ) -> tuple[StoredOutput, bytes]:
        """The file as it is stored, and its entry. Raises SigningFailed."""
        if origin.request.provenance is Provenance.NONE:
            return output, file
        if self._signer is None:
            self._metrics.marked(NO_CERTIFICATE)
            return output, file
        try:
            with self._metrics.stage("sign"):
                signed = self._signed(self._signer, job, output, file, origin)
        except SigningFailed as error:
            self._metrics.marked(error.code)
            if not self._allows_unsigned:
                raise
            log.warning("c2pa.unsigned", job=job.lease.ref.id, why=error.message)
            job.warn([_UNSIGNED])
            return output, file
        self._metrics.marked("signed")
        told = {"signed": True, "signed_sha256": sha256(signed).hexdigest()}
        return output.model_copy(update=told), signed

    def _signed(
        self,
        signer: Signer,
        job: ClaimedJob,
        output: StoredOutput,
        file: bytes,
        origin: Origin,
    ) -> bytes:
        # What a picture that went in says may name its prompt: to say little is to leave that out.
        manifests = job.manifests if origin.request.provenance is Provenance.FULL else {}
        claim = Claim(
            request=origin.request,
            output=output,
            job=job.lease.ref.id,
            made_at=now().isoformat(timespec="seconds"),
            inputs=origin.inputs,
            fingerprints=origin.fingerprints,
            sequence=origin.sequence or {},
            embedded=frozenset(manifests),
        )
        brought = [
            (ingredient(name, one), manifests[one.file])
            for name, one in origin.inputs.items()
            if one.file in manifests
        ]
        return signer.signed(file, output.content_type, manifest(claim), brought)


def open_signing(settings: Settings, metrics: Metrics) -> Signing:
    """By the signer that the settings name. Raises ConfigurationError, if that is over too."""
    signer = Signer.open(settings)
    allows_unsigned = settings.c2pa_unsigned == "allow"
    if signer is None:
        log.warning("c2pa.no_certificate", effect="pictures are not signed")
    elif complaint := signer.chain.complaint(now()):
        if not (signer.chain.holds(now()) or allows_unsigned):
            raise ConfigurationError(complaint)
        log.warning("c2pa.certificate", why=complaint)
    return Signing(signer, metrics, allows_unsigned=allows_unsigned)
