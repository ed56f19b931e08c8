"""The measured costs of calls, kept on disk between starts."""

import json
from hashlib import sha256
from pathlib import Path

import structlog

from worker.batching import Costs

log = structlog.get_logger()


class CostFile:
    """One JSON file of curves for each `identity`: device, precision and software."""

    def __init__(self, costs: Costs, folder: Path, identity: str) -> None:
        self._costs = costs
        self._identity = identity
        self._file = folder / f"{sha256(identity.encode()).hexdigest()[:16]}.json"

    def recall(self) -> None:
        """Load the curves of an earlier start. An unreadable file is ignored."""
        try:
            self._costs.from_json(json.loads(self._file.read_text())["curves"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("costs.unreadable", file=str(self._file), why=str(error))

    def keep(self) -> None:
        """Write the curves for the next start, which measures again if that fails."""
        draft = self._file.with_suffix(".draft")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(
                json.dumps({"identity": self._identity, "curves": self._costs.to_json()}, indent=1)
            )
            draft.replace(self._file)
        except OSError as error:
            log.warning("costs.not_kept", file=str(self._file), why=str(error))
