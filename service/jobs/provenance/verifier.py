"""What a file says of its origin, whether that holds, and whether it was made here."""

from dataclasses import dataclass

from latentry.contracts import (
    C2paState,
    MadeHere,
    OutputFormat,
    StoredOutput,
    Verification,
    Watermark,
)
from latentry.errors import ImageTooLarge, JobNotFound
from latentry.ledger import AsyncLedger, commands
from latentry.ledger.files import PREFIX
from latentry.provenance.confined.process import Said
from service.intake.decode import Intake
from service.jobs.files import Files
from service.jobs.ids import ref_of
from service.jobs.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Verifier:
    """Examines files; none is kept."""

    ledger: AsyncLedger
    files: Files
    inputs: Inputs
    intake: Intake
    max_bytes: int

    async def named(self, tenant: str, reference: str) -> Verification:
        """Of a file id, or of a picture named by its URL. Raises what `Inputs.sent` does, and more.

        Of a file it is known what it said when it came, if it had a manifest.
        """
        if reference.startswith(PREFIX):
            record = await self.files.record(tenant, reference)
            said = await self.files.origin(record)
            return await self._verification(tenant, OutputFormat.PNG.content_type, said)
        async with self.inputs.sent(tenant, reference) as data:
            return await self.sent(tenant, data)

    async def sent(self, tenant: str, data: bytes) -> Verification:
        """Of a file's bytes. Raises UnsupportedImage, ImageTooLarge, BrokenImage or Busy."""
        if len(data) > self.max_bytes:
            raise ImageTooLarge(f"The file is larger than {self.max_bytes} bytes.")
        return await self._verification(tenant, *await self.intake.examine(data, tenant))

    async def _verification(
        self, tenant: str, content_type: str, said: Said, mark: Watermark | None = None
    ) -> Verification:
        return Verification(
            content_type=content_type,
            c2pa=said.c2pa,
            infotext=said.infotext,
            xmp=said.xmp,
            watermark=mark,
            made_here=await self._made_here(tenant, said),
        )

    async def _made_here(self, tenant: str, said: Said) -> MadeHere:
        if said.c2pa.state not in (C2paState.TRUSTED, C2paState.VALID) or not said.c2pa.history:
            return MadeHere(verified=False)
        job = await self._job(tenant, said)
        return MadeHere(verified=said.own or job is not None, job=job)

    async def _job(self, tenant: str, said: Said) -> str | None:
        """The tenant's job that the file names, if it has stored this file."""
        claimed = said.c2pa.history[0].job
        try:
            record = await self.ledger.run(commands.get(ref_of(tenant, claimed)))
        except JobNotFound:
            return None
        stored = record.outputs if record else ()
        return claimed if any(_is_of(one, said) for one in stored) else None


def _is_of(stored: StoredOutput, said: Said) -> bool:
    """Whether it is this output's file. Our own signature proves its hashes; no other's does."""
    if said.own:
        return stored.unsigned_sha256 == said.c2pa.history[0].unsigned_sha256 != ""
    return stored.signed_sha256 == said.sha256 != ""
