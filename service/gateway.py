"""What the doors use: the gateway's parts, wired."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request

from latentry.errors import JobGone, JobNotFound, NotFound
from latentry.ledger import AsyncLedger, JobRecord, JobRef, commands
from latentry.provenance.signing.chain import KnownSigners
from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from service.access.auth import Gatekeeper
from service.intake.decode import Intake
from service.jobs.bell import Bell
from service.jobs.catalogue import Catalogue
from service.jobs.events import EventHub
from service.jobs.files import Files
from service.jobs.inputs import Inputs
from service.jobs.ledger import GatewayLedger
from service.jobs.links import GatewayLinks
from service.jobs.moderation import Moderation
from service.jobs.provenance.certificate import Certificate
from service.jobs.provenance.verifier import Verifier
from service.jobs.views import Views
from service.metrics import Metrics
from service.outbound import Outbound
from service.templates.library import Library


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway process. Nothing connects before it is needed."""

    settings: Settings
    ledger: AsyncLedger
    storage: Storage
    gatekeeper: Gatekeeper
    catalogue: Catalogue
    bell: Bell
    metrics: Metrics
    event_hub: EventHub
    views: Views
    outbound: Outbound
    intake: Intake
    files: Files
    inputs: Inputs
    verifier: Verifier
    certificate: Certificate
    library: Library
    moderation: Moderation
    links: GatewayLinks

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Wire the parts. Raises ConfigurationError."""
        ledger = GatewayLedger.open(settings)
        storage = open_storage(settings)
        metrics, library = Metrics(), Library.open(settings)
        metrics.watch_templates(library.stale)
        intake = Intake(settings.max_image_pixels, KnownSigners.read(settings))
        files = Files(settings, ledger, storage, intake)
        inputs = Inputs(files, Outbound.for_pictures(settings), settings.max_image_bytes)
        return cls(
            settings=settings,
            ledger=ledger,
            storage=storage,
            gatekeeper=Gatekeeper(settings, ledger),
            catalogue=Catalogue(ledger),
            bell=Bell(settings, ledger),
            metrics=metrics,
            event_hub=EventHub(ledger),
            views=Views(settings, storage),
            outbound=Outbound.open(settings),
            intake=intake,
            files=files,
            inputs=inputs,
            verifier=Verifier(ledger, files, inputs, intake, settings.max_image_bytes),
            certificate=Certificate.of(settings),
            library=library,
            moderation=Moderation(library, ledger, metrics),
            links=GatewayLinks(settings),
        )

    @property
    def is_stopping(self) -> bool:
        """Whether the process is shutting down: not ready, and nothing waits any longer."""
        return self.event_hub.is_closed

    def stop(self) -> None:
        """Begin to shut down: end every event stream and every request that waits for a job."""
        self.event_hub.close()

    async def close(self) -> None:
        """Release what was opened."""
        self.intake.close()
        await self.bell.close()
        await self.ledger.close()

    async def record(self, ref: JobRef) -> JobRecord:
        """A job's present record. Raises JobNotFound or JobGone."""
        record = await self.ledger.run(commands.get(ref))
        if record is None:
            raise await self.absence(ref)
        return record

    async def absence(self, ref: JobRef) -> NotFound:
        """Why there is no such job."""
        return JobGone() if await self.ledger.run(commands.was_kept(ref)) else JobNotFound()


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


GatewayDep = Annotated[Gateway, Depends(_gateway)]
