"""Files of styles and wildcards, looked at every two seconds."""

import asyncio
from typing import Final

from service.templates.library import Library
from service.upkeep.periodic import every

EVERY_S: Final = 2.0


class TemplateReader:
    """Has a library read what changed, in a thread."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def run(self) -> None:
        """Until canceled."""
        await every(EVERY_S, self._refresh, name="templates")

    async def _refresh(self) -> None:
        await asyncio.to_thread(self._library.refresh)
