"""Which file formats go with which options."""

from latentry.contracts import AnyRequest, OutputFormat
from latentry.errors import UnsupportedField


def refuse_impossible_output(request: AnyRequest) -> None:
    """Raises UnsupportedField for options that its format does not have."""
    form, is_lossless = request.output_format, request.output_lossless
    if is_lossless and form is OutputFormat.JPEG:
        why = "JPEG is never lossless; take webp or png."
        raise UnsupportedField(why, fields={"/output_lossless": why})
    if request.output_quality is not None and (is_lossless or form is OutputFormat.PNG):
        why = f"A lossless {form} has no quality; leave output_quality out."
        raise UnsupportedField(why, fields={"/output_quality": why})
