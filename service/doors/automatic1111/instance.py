"""The instance that AUTOMATIC1111's API speaks of: here one for each API key."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import structlog
from pydantic import ValidationError

from latentry.contracts import JobStatus
from latentry.ledger import CatalogueEntry, JobRef, commands, instances
from latentry.ledger.instances import InstanceRef, Task, TaskPreview, Tasks
from service.access.auth import Caller
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.translation.names import bare, checkpoint, is_none
from service.doors.automatic1111.translation.refusals import refuse_options
from service.gateway import Gateway

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Instance:
    """Options and jobs of one key at this door."""

    gateway: Gateway
    ref: InstanceRef

    @classmethod
    def of(cls, gateway: Gateway, caller: Caller) -> Self:
        """The caller's."""
        return cls(gateway, InstanceRef(caller.tenant, caller.key_id))

    async def options(self) -> Options:
        """What the key has set."""
        text = await self.gateway.ledger.run(instances.get_options(self.ref))
        try:
            return Options.model_validate_json(text or "{}")
        except ValidationError:  # of another version, whose bounds were others
            log.warning("instance.unreadable", key=self.ref.key_id)
            return Options()

    async def set(self, fields: Mapping[str, Any]) -> None:
        """Set those options that are known. Raises InvalidRequest, UnknownModel or NoModel."""
        options = (await self.options()).with_these(dict(fields))
        refuse_options(options)
        if fields.get("sd_model_checkpoint") is not None:
            await self.entry(options.sd_model_checkpoint)
        await self.gateway.ledger.run(
            instances.set_options(self.ref, options.model_dump_json(exclude_defaults=True))
        )

    async def entry(self, name: str | None) -> CatalogueEntry:
        """The model of this name, or the default one. Raises UnknownModel or NoModel."""
        settings = self.gateway.settings
        wanted = settings.default_model if is_none(name) else bare(name or "").lower()
        known = await self.gateway.catalogue.entries(including=wanted)
        return checkpoint(name, known, settings)

    async def enter(self, job: JobRef, task_id: str | None) -> None:
        """A job of this key was created, or found."""
        id = task_id or f"task({job.id.removeprefix('gen_')})"
        await self.gateway.ledger.run(instances.enter_task(self.ref, job, id))

    async def tasks(self) -> Tasks:
        """Its latest jobs."""
        return await self.gateway.ledger.run(instances.list_tasks(self.ref))

    async def look(self, task: Task) -> TaskPreview | None:
        """What an unfinished image of this task is heading for, if the options want to see that.

        For a moment its worker goes on making such previews. None: there is none so far.
        """
        if task.state is not JobStatus.RUNNING:
            return None
        if not (every := (await self.options()).preview_every):
            return None
        return await self.gateway.ledger.run(instances.watch(task.ref, every=every))

    async def cancel(self, tasks: tuple[Task, ...]) -> None:
        """Stop these of its jobs."""
        run = self.gateway.ledger.run
        await asyncio.gather(*(run(commands.cancel(task.ref)) for task in tasks))
