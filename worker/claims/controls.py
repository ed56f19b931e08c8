"""What a job's ControlNets see, as outputs that are still to be stored."""

from latentry.ledger import JobRecord
from latentry.rules.controls import control_names


def unstored_controls(record: JobRecord) -> dict[str, int]:
    """The names of those outputs, and which control each is of."""
    listed = {output.name for output in record.outputs if output.index == 0}
    names = control_names(record.request)
    return {name: number for name, number in names.items() if name not in listed}
