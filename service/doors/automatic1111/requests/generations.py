"""`txt2img` and `img2img`: their bodies as models."""

from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, model_validator

from latentry.contracts.wire import RequestModel
from service.doors.automatic1111.requests import fields
from service.doors.automatic1111.requests.infotext import filled
from service.doors.automatic1111.requests.pictures import FORMS, MaybePicture, Picture
from service.doors.automatic1111.requests.scripts import AlwaysOn, Scripts
from service.doors.fates import MAPPED, OBEYED, Fate, Here

MAX_PICTURES: Final = 16
_SAME_PROMPT: Final = "Refused with hires fix, unless it is empty or the first pass's."


class AnyGeneration(RequestModel):
    """The fields of both. Others are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")
    route: ClassVar[str]

    prompt: fields.Prompt = ""
    negative_prompt: fields.NegativePrompt = ""
    styles: fields.Styles = Field(default_factory=list)
    seed: fields.Seed = -1
    subseed: fields.Subseed = -1
    subseed_strength: fields.SubseedStrength = 0.0
    seed_resize_from_h: fields.SeedResize = -1
    seed_resize_from_w: fields.SeedResize = -1
    sampler_name: fields.SamplerName = None
    sampler_index: fields.SamplerIndex = None
    scheduler: fields.Scheduler = None
    batch_size: fields.BatchSize = 1
    n_iter: fields.Iterations = 1
    steps: fields.Steps = None
    cfg_scale: fields.CfgScale = None
    width: fields.Side = None
    height: fields.Side = None
    restore_faces: fields.RestoreFaces = False
    tiling: fields.Tiling = False
    do_not_save_samples: fields.DoNotSave = False
    do_not_save_grid: fields.DoNotSave = False
    eta: fields.Eta = None
    denoising_strength: fields.DenoisingStrength = None
    s_min_uncond: fields.Churn = None
    s_churn: fields.Churn = None
    s_tmax: fields.ChurnBound = None
    s_tmin: fields.ChurnBound = None
    s_noise: fields.Noise = None
    override_settings: fields.OverrideSettings = Field(default_factory=dict)
    override_settings_restore_afterwards: fields.RestoreAfterwards = True
    refiner_checkpoint: fields.RefinerCheckpoint = None
    refiner_switch_at: fields.RefinerSwitchAt = None
    disable_extra_networks: fields.DisableExtraNetworks = False
    comments: fields.Comments = None
    script_name: fields.ScriptName = None
    script_args: fields.ScriptArgs = Field(default_factory=list)
    alwayson_scripts: AlwaysOn = Field(default_factory=Scripts, repr=False)
    send_images: fields.SendImages = True
    save_images: fields.SaveImages = False
    force_task_id: fields.TaskId = None
    infotext: fields.Infotext = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, body: Any) -> Any:
        """What the infotext says of fields that were not sent."""
        text = body.get("infotext") if isinstance(body, dict) else None
        return filled(body, text) if isinstance(text, str) and text else body


class Txt2Img(AnyGeneration):
    """`POST /sdapi/v1/txt2img`."""

    route = "txt2img"

    enable_hr: Annotated[bool, OBEYED, Field(description="Hires fix.")] = False
    hr_scale: Annotated[
        float,
        OBEYED,
        Field(
            ge=0,
            le=fields.MAX_NUMBER,
            description="Times the first pass's size; 2 if omitted.",
        ),
    ] = 2.0
    hr_upscaler: Annotated[
        fields.Name | None,
        OBEYED,
        Field(description="`Latent` (the default) or `Lanczos`; others are refused."),
    ] = None
    hr_second_pass_steps: Annotated[
        int,
        OBEYED,
        Field(
            ge=0, le=fields.MAX_NUMBER, description="Steps that are made; 0: as many as `steps`."
        ),
    ] = 0
    hr_resize_x: Annotated[
        int,
        OBEYED,
        Field(
            ge=0, le=fields.MAX_NUMBER, description="Width of the result, instead of `hr_scale`."
        ),
    ] = 0
    hr_resize_y: Annotated[
        int, OBEYED, Field(ge=0, le=fields.MAX_NUMBER, description="Its height, likewise.")
    ] = 0
    firstphase_width: Annotated[
        int, Here(Fate.REFUSED, unless=(0,)), Field(description="Refused with hires fix, unless 0.")
    ] = 0
    firstphase_height: Annotated[
        int, Here(Fate.REFUSED, unless=(0,)), Field(description="Refused with hires fix, unless 0.")
    ] = 0
    hr_checkpoint_name: Annotated[
        fields.Name | None,
        Here(Fate.REFUSED, unless=("", "Use same checkpoint")),
        Field(description="Refused with hires fix: both passes are of one model."),
    ] = None
    hr_sampler_name: Annotated[
        fields.Name | None,
        Here(Fate.REFUSED, unless=("", "Use same sampler")),
        Field(description="Refused with hires fix, unless it is the first pass's."),
    ] = None
    hr_scheduler: Annotated[
        fields.Name | None,
        Here(Fate.REFUSED, unless=("", "Use same scheduler")),
        Field(description="Refused with hires fix, unless it is the first pass's."),
    ] = None
    hr_prompt: Annotated[str, Here(Fate.REFUSED, unless=("",)), Field(description=_SAME_PROMPT)] = (
        ""
    )
    hr_negative_prompt: Annotated[
        str, Here(Fate.REFUSED, unless=("",)), Field(description=_SAME_PROMPT)
    ] = ""


class Img2Img(AnyGeneration):
    """`POST /sdapi/v1/img2img`."""

    route = "img2img"

    init_images: Annotated[
        list[Picture],
        OBEYED,
        Field(
            max_length=MAX_PICTURES,
            repr=False,
            description=f"One picture: {FORMS}. Without any 404; more are refused.",
        ),
    ] = Field(default_factory=list, repr=False)
    resize_mode: Annotated[
        int,
        OBEYED,
        Field(description="0 stretch, 1 crop, 2 fill (repeats the edges); 3 is refused."),
    ] = 0
    image_cfg_scale: Annotated[
        float | None,
        OBEYED,
        Field(description="Of models that edit by instruction; others ignore it, as there."),
    ] = None
    mask: Annotated[
        MaybePicture,
        OBEYED,
        Field(
            repr=False,
            description="White is repainted, or what is opaque if anything is transparent: "
            f"{FORMS}.",
        ),
    ] = Field(None, repr=False)
    mask_blur: Annotated[int | None, OBEYED, Field(ge=0, description="4 if omitted.")] = None
    mask_blur_x: Annotated[
        int | None, MAPPED, Field(ge=0, description="Must be equal to `mask_blur_y`.")
    ] = None
    mask_blur_y: Annotated[
        int | None, MAPPED, Field(ge=0, description="Must be equal to `mask_blur_x`.")
    ] = None
    mask_round: Annotated[
        bool, Here(Fate.REFUSED, unless=(True,)), Field(description="Refused, unless true.")
    ] = True
    inpainting_fill: Annotated[
        int, OBEYED, Field(ge=0, le=3, description="0 fill, 1 original, 2 noise, 3 nothing.")
    ] = 0
    inpaint_full_res: Annotated[
        bool, OBEYED, Field(description="Draw the mask's surroundings alone, as is the default.")
    ] = True
    inpaint_full_res_padding: Annotated[
        int, OBEYED, Field(ge=0, description="Pixels around the mask that are drawn with it.")
    ] = 0
    inpainting_mask_invert: Annotated[
        bool, OBEYED, Field(description="1: all but the mask is repainted.")
    ] = False
    initial_noise_multiplier: Annotated[
        float | None, Here(Fate.REFUSED, unless=(1,)), Field(description="Refused, unless 1.")
    ] = None
    latent_mask: Annotated[
        Any, Here(Fate.REFUSED), Field(description="Refused: there is one mask.", repr=False)
    ] = Field(None, repr=False)
    include_init_images: Annotated[
        bool,
        Here(Fate.IGNORED, unless=(False,)),
        Field(description="`parameters` never has pictures."),
    ] = False


PICTURES: Final = frozenset({"init_images", "mask", "latent_mask", "alwayson_scripts"})
