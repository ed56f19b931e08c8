"""Options: the settings of AUTOMATIC1111 that mean something here."""

from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, ValidationError

from latentry.contracts import OutputFormat
from latentry.contracts.fields.bounds import MAX_CLIP_SKIP, MAX_STEPS
from latentry.contracts.wire import RequestModel
from service.doors.automatic1111.requests.fields import Name
from service.doors.fates import OBEYED, Fate, Here
from service.http import bodies

_FORMATS: Final = {
    "png": OutputFormat.PNG,
    "jpg": OutputFormat.JPEG,
    "jpeg": OutputFormat.JPEG,
    "webp": OutputFormat.WEBP,
}


class Options(RequestModel):
    """What a key has set. AUTOMATIC1111's other options are accepted, and mean nothing."""

    model_config = ConfigDict(extra="ignore")

    sd_model_checkpoint: Annotated[
        Name | None, OBEYED, Field(description="Model; the default one until it is set.")
    ] = None
    sd_vae: Annotated[
        Name | None,
        OBEYED,
        Field(description="VAE; `Automatic` and `None` are the model's own."),
    ] = None
    CLIP_stop_at_last_layers: Annotated[
        int, OBEYED, Field(ge=1, le=MAX_CLIP_SKIP, description="“Clip skip”; 1 is all layers.")
    ] = 1
    samples_format: Annotated[
        str,
        OBEYED,
        Field(pattern=f"^({'|'.join(_FORMATS)})$", description="`png`, `jpg` or `webp`."),
    ] = "png"
    jpeg_quality: Annotated[int, OBEYED, Field(ge=1, le=100, description="Of JPEG and WebP.")] = 80
    control_net_no_detectmap: Annotated[
        bool, OBEYED, Field(description="Leave out what ControlNets were shown.")
    ] = False
    live_previews_enable: Annotated[
        bool, OBEYED, Field(description="Pictures on their way in `progress`; they are JPEG.")
    ] = True
    show_progress_every_n_steps: Annotated[
        int,
        OBEYED,
        Field(ge=-1, le=MAX_STEPS, description="There may be one after so many; -1 is none."),
    ] = 1
    eta_noise_seed_delta: Annotated[
        int, Here(Fate.REFUSED, unless=(0,)), Field(description="Refused, unless 0.")
    ] = 0

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Self:
        """Of these, one of which may be null. Raises InvalidRequest."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise bodies.invalid(error, cls) from None

    def with_these(self, fields: dict[str, Any]) -> Self:
        """The same with some set anew. Raises InvalidRequest."""
        known = {name: value for name, value in fields.items() if name in type(self).model_fields}
        return self.read(self.model_dump() | known)

    @property
    def preview_every(self) -> int:
        """After how many steps there may be a picture on its way; 0 for none."""
        every = self.show_progress_every_n_steps
        return max(1, every) if self.live_previews_enable and every >= 0 else 0

    @property
    def output_format(self) -> OutputFormat:
        """That of the images."""
        return _FORMATS[self.samples_format]
