"""What was found out about an adapter's file by reading all of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checked:
    """Its hashes, as `AdapterFile` has them; its weights were found to be finite."""

    sha256: str
    autov3: str
