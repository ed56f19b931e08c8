"""What the file of all frames of a sequence may be."""

from latentry.contracts import ModelCard, SequenceOutput
from latentry.errors import InvalidRequest, UnsupportedField


def refuse_impossible_file(card: ModelCard, output: SequenceOutput, fps: int | None) -> None:
    """Raises UnsupportedField for a file that no worker writes, InvalidRequest for idle `fps`."""
    if output.clip is None:
        if fps is not None:
            why = "fps has no effect without a file of all frames."
            raise InvalidRequest(why, fields={"/fps": why, "/output": why})
    elif output.clip not in card.limits.clips:
        formats = ", ".join((SequenceOutput.FRAMES, *card.limits.clips))
        why = f"The workers of {card.id} write: {formats}."
        raise UnsupportedField(why, fields={"/output": why})
