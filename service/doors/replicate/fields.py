"""Fields of Replicate's Stable Diffusion models: what each may be, and what becomes of it here."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from latentry.contracts import outputs
from latentry.contracts.fields import job
from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.contracts.fields.bounds import MAX_GUIDANCE, MAX_LORA_WEIGHT, MAX_STEPS
from service.doors.fates import IGNORED, MAPPED, OBEYED, REFUSED, Fate, Here

# As in Replicate's models, longer side by shorter side or the other way round.
ASPECT_RATIOS: Final = (
    *("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"),
)
# The names of Replicate's models for samplers, where they are neither diffusers' nor ours.
SCHEDULERS: Final = {
    "K_EULER": "euler",
    "K_EULER_ANCESTRAL": "euler_a",
    "K-EULER": "euler",
    "K-EULER-ANCESTRAL": "euler_a",
    "DPMSolverMultistep": "dpmpp_2m",
    "DPM_MULTISTEP": "dpmpp_2m",
    "DPM-MULTISTEP": "dpmpp_2m",
    "KarrasDPM": "DPM++ 2M Karras",
    "K_DPM_2": "dpm2",
    "K_DPM_2_ANCESTRAL": "dpm2_a",
    "KLMS": "lms",
    "K-LMS": "lms",
    "HeunDiscrete": "heun",
    "HEUN": "heun",
    "PNDM": "pndm",
    "UniPCMultistep": "unipc",
}


def _without_jpg(value: Any) -> Any:
    return "jpeg" if value == "jpg" else value


Outputs = Annotated[
    job.Count | None, MAPPED, Field(description="Number of images, as `n`; 1 if omitted.")
]
Scheduler = Annotated[
    Annotated[str, StringConstraints(max_length=64)] | None,
    MAPPED,
    Field(
        description="`sampler`: Replicate's names (`K_EULER`, `DPMSolverMultistep`, `KarrasDPM`,"
        " …), diffusers', AUTOMATIC1111's or ours."
    ),
]
PromptStrength = Annotated[
    Annotated[float, Field(strict=True, ge=0, le=1)] | None,
    MAPPED,
    Field(description="`strength`: how much of `image` may change; 1 is all of it."),
]
Steps = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_STEPS)] | None,
    MAPPED,
    Field(description="`num_inference_steps`."),
]
Guidance = Annotated[
    Annotated[float, Field(strict=True, ge=0, le=MAX_GUIDANCE)] | None,
    MAPPED,
    Field(description="`guidance_scale`."),
]
AspectRatio = Annotated[
    Literal["custom", *ASPECT_RATIOS] | None,  # type: ignore[valid-type]
    MAPPED,
    Field(
        description="The size nearest to these proportions with as many pixels as the model's own."
        " `custom` means `width` and `height`."
    ),
]
OutputFormat = Annotated[
    Annotated[outputs.OutputFormat, BeforeValidator(_without_jpg)] | None,
    OBEYED,
    Field(description="File format of the images: `png`, `jpg`, `webp`; `png` if omitted."),
]
OutputQuality = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=100)] | None,
    MAPPED,
    Field(description="Quality of JPEG and WebP; ignored for PNG, as Replicate's models do."),
]
_Adapter = Annotated[str, StringConstraints(pattern=ADAPTER_ID)] | None
_Weight = Annotated[float, Field(strict=True, ge=-MAX_LORA_WEIGHT, le=MAX_LORA_WEIGHT)] | None
Lora = Annotated[
    _Adapter,
    MAPPED,
    Field(description="A LoRA, one of `loras`: an id of `GET /v1/adapters`. No URL is loaded."),
]
LoraScale = Annotated[
    _Weight,
    MAPPED,
    Field(description="The weight of that LoRA; 1 if omitted. Ignored where none is named."),
]
SafetyChecker = Annotated[
    Annotated[bool, Field(strict=True)] | None,
    MAPPED,
    Field(
        description="`true` leaves out the rules that this service relaxes for requests that ask"
        " for less moderation; all others hold."
    ),
]
Watermark = Annotated[Any, IGNORED, Field(description="Ignored; see `provenance`.")]
Speed = Annotated[Any, IGNORED, Field(description="Ignored.")]
Tolerance = Annotated[Any, IGNORED, Field(description="Ignored: the service's rules hold.")]
Weights = Annotated[
    Any, REFUSED, Field(description="Refused: no weights are fetched; name one of `loras`.")
]
Refine = Annotated[
    Any,
    Here(Fate.REFUSED, unless=("no_refiner",)),
    Field(description="Refused: name a model as `refiner`. `no_refiner` is what is done."),
]
RefinerPart = Annotated[Any, REFUSED, Field(description="Refused: say it by `refiner_switch_at`.")]
