"""What calls cost here, kept on disk between starts."""

import json
from hashlib import sha256
from pathlib import Path

import structlog

from worker.batching import Costs

log = structlog.get_logger()


class CostFile:
    """A file of curves for one kind of device; `identity` says all that they depend on."""

    def __init__(self, costs: Costs, folder: Path, identity: str) -> None:
        self._costs = costs
        self._identity = identity
        self._file = folder / f"{sha256(identity.encode()).hexdigest()[:16]}.json"

    def recall(self) -> None:
        """Take over what was measured earlier. A spoilt file is measured anew."""
        try:
            self._costs.from_json(json.loads(self._file.read_text())["curves"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("costs.unreadable", file=str(self._file), why=str(error))

    def keep(self) -> None:
        """Write the curves for the next start. Without them it measures again when idle."""
        draft = self._file.with_suffix(".draft")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(
                json.dumps({"identity": self._identity, "curves": self._costs.to_json()}, indent=1)
            )
            draft.replace(self._file)
        except OSError as error:
            log.warning("costs.not_kept", file=str(self._file), why=str(error))
