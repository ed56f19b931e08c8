"""The fields of both ways to draw: what each may be, and what becomes of it here."""

from typing import Annotated, Any, Final

from pydantic import Field

from latentry.ledger.instances import MAX_TASK_ID
from service.doors.fates import IGNORED, MAPPED, OBEYED, Fate, Here

MAX_NAME: Final = 200  # characters of a model, sampler, …
# Of numbers with which the door reckons: beyond any that it obeys, and far from overflow.
MAX_NUMBER: Final = 1_000_000
LEAST_STRENGTH: Final = 1e-6
_NO_SCRIPT: Final = ("", "None")
_OFF: Final = (0, -1)

Name = Annotated[str, Field(max_length=MAX_NAME)]
Texts = Annotated[list[Name], OBEYED, Field(max_length=64)]
_No = Here(Fate.REFUSED, unless=(False,))
_Zero = Here(Fate.REFUSED, unless=(0,))

Prompt = Annotated[
    str,
    OBEYED,
    Field(
        description="Read as AUTOMATIC1111 reads it: weights, schedules, `AND`, `BREAK`,"
        " `<lora:name:0.8>`, names of embeddings."
    ),
]
NegativePrompt = Annotated[str, OBEYED, Field(description="Likewise.")]
Styles = Annotated[
    Texts, Field(description="Names of `GET /sdapi/v1/prompt-styles`; an unknown one is refused.")
]
Seed = Annotated[
    int, OBEYED, Field(description="Of the first image; the others count up. -1 is random.")
]
Subseed = Annotated[int, OBEYED, Field(description="Variation seed; -1 is random.")]
SubseedStrength = Annotated[float, OBEYED, Field(ge=0, le=1, description="Variation strength.")]
SeedResize = Annotated[
    int, Here(Fate.REFUSED, unless=_OFF), Field(description="Refused, unless 0 or -1.")
]
SamplerName = Annotated[
    Name | None,
    OBEYED,
    Field(
        description="AUTOMATIC1111's name or alias, also joined with a schedule type (`DPM++ 2M"
        " Karras`). Omitted, the model's own. 404 for samplers that are not here."
    ),
]
SamplerIndex = Annotated[
    Name | None,
    OBEYED,
    Field(description="The same, of older clients; `sampler_name` counts more."),
]
Scheduler = Annotated[
    Name | None,
    OBEYED,
    Field(
        description="Schedule type, by name or label. `Automatic`, or omitted beside a sampler, is"
        " what AUTOMATIC1111 takes for that sampler."
    ),
]
BatchSize = Annotated[
    int,
    MAPPED,
    Field(ge=1, le=MAX_NUMBER, description="Times `n_iter`: images of one job, at most 10."),
]
Iterations = Annotated[int, MAPPED, Field(ge=1, le=MAX_NUMBER, description="Times `batch_size`.")]
Steps = Annotated[
    int | None,
    OBEYED,
    Field(ge=1, le=MAX_NUMBER, description="Omitted, the model's own number."),
]
CfgScale = Annotated[float | None, OBEYED, Field(ge=0, description="Omitted, the model's own.")]
Side = Annotated[
    int | None,
    MAPPED,
    Field(
        ge=8,
        le=MAX_NUMBER,
        description="Rounded down to a multiple of 8. Omitted, the model's own side (of img2img the"
        " picture's). 512 × 512, which most clients send unasked, is the nearest size that the"
        " model can; other sizes are exact or refused.",
    ),
]
RestoreFaces = Annotated[bool, _No, Field(description="Refused, unless false: no such models.")]
Tiling = Annotated[bool, OBEYED, Field(description="An image whose edges meet.")]
DoNotSave = Annotated[
    bool,
    Here(Fate.IGNORED, unless=(True, False)),
    Field(description="Nothing is saved in folders anyway."),
]
Eta = Annotated[
    float | None,
    MAPPED,
    Field(
        description="Ancestral samplers have 1, DDIM 0; DDIM with 1 is named in `X-Ignored-Fields`,"
        " as clients send that unasked; other values are refused. Others have none."
    ),
]
Churn = Annotated[float | None, _Zero, Field(description="Refused, unless 0.")]
Noise = Annotated[
    float | None, Here(Fate.REFUSED, unless=(1,)), Field(description="Refused, unless 1.")
]
ChurnBound = Annotated[
    float | None,
    Here(Fate.IGNORED, unless=(0,)),
    Field(description="Without `s_churn` it means nothing."),
]
OverrideSettings = Annotated[
    dict[str, Any],
    OBEYED,
    Field(description="Options for this request alone; see below."),
]
RestoreAfterwards = Annotated[
    bool, OBEYED, Field(description="`false`: `override_settings` stay this key's options.")
]
RefinerCheckpoint = Annotated[
    Name | None, OBEYED, Field(description="Model that makes the last steps.")
]
RefinerSwitchAt = Annotated[
    float | None, OBEYED, Field(ge=0, le=1, description="From which fraction of the steps on; 0.8.")
]
DisableExtraNetworks = Annotated[bool, _No, Field(description="Refused, unless false.")]
Comments = Annotated[Any, IGNORED, Field(description="Ignored.")]
ScriptName = Annotated[
    Name | None,
    Here(Fate.REFUSED, unless=_NO_SCRIPT),
    Field(description="Refused: no script is here."),
]
ScriptArgs = Annotated[
    list[Any], Here(Fate.IGNORED, unless=([],)), Field(description="Ignored without a script.")
]
SendImages = Annotated[bool, OBEYED, Field(description="`false`: `images` is empty.")]
SaveImages = Annotated[
    bool,
    Here(Fate.IGNORED, unless=(False,)),
    Field(description="Every job is kept for a while anyway, and nothing longer."),
]
TaskId = Annotated[
    str | None,
    OBEYED,
    Field(max_length=MAX_TASK_ID, description="Id for `POST /internal/progress`."),
]
Infotext = Annotated[
    str | None,
    OBEYED,
    Field(max_length=64 * 1024, description="Generation parameters, for all fields not sent."),
]
DenoisingStrength = Annotated[
    float | None,
    OBEYED,
    Field(
        ge=0,
        le=1,
        description="Of img2img, and of hires fix; 0.75 if omitted. 0 would change nothing, and is"
        " refused.",
    ),
]
