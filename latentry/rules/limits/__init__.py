"""What is refused before it costs anything: one check, for admission and for the engine."""

from latentry.rules.limits.limits import refuse_unsupported
from latentry.rules.limits.refiner import refuse_other_refiner

__all__ = ["refuse_other_refiner", "refuse_unsupported"]
