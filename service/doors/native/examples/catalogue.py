"""What there is to name in requests: models, adapters, upscalers, styles."""

from typing import Final

from latentry.contracts import (
    Adapter,
    AdapterKind,
    AdapterList,
    ClipFormat,
    Defaults,
    JobKind,
    Limits,
    Model,
    ModelList,
    OutputFormat,
    Pace,
    PromptSyntax,
    Sampler,
    ServedUpscaler,
    Style,
    StyleDefaults,
    StyleList,
    UpscalerList,
)
from latentry.contracts.catalogue.capabilities import (
    Capabilities,
    ModelModes,
    ServiceLimits,
    modes,
)

_CREATED: Final = 1_796_040_000
_LIMITS: Final = Limits(
    min_side=96,
    max_side=192,
    size_step=32,
    max_steps=100,
    images=True,
    previews=True,
    clips=(ClipFormat.WEBP, ClipFormat.GIF, ClipFormat.MP4),
    max_frames=16,
    strict_rows=20,
)
MODEL: Final = Model(
    id="shapes",
    family="SD 1.x",
    limits=_LIMITS,
    defaults=Defaults(
        width=128, height=128, num_inference_steps=25, guidance_scale=2.0, sampler=Sampler.DDIM
    ),
    samplers=[Sampler.DDIM, Sampler.EULER],
    created=_CREATED,
    pace=Pace(step_megapixel_s=0.5, images_at_once=8, image_megapixel_s=0.2),
    workers=1,
)
MODELS: Final = ModelList(data=[MODEL])
ADAPTERS: Final = AdapterList(
    data=[
        Adapter(
            id="ink",
            kind=AdapterKind.LORA,
            family="SD 1.x",
            models=("shapes",),
            sha256="3f1c0a9be2d47586" * 4,
            autov3="a1b2c3d4e5f6",
            size_bytes=412_904,
            rank=8,
            networks=("unet", "text_encoder"),
            resident_on=1,
            title="Ink drawings",
            trigger_words=("ink drawing",),
        )
    ]
)
UPSCALERS: Final = UpscalerList(
    data=[
        ServedUpscaler(
            id="lanczos",
            architecture="Lanczos",
            scale=8.0,
            default_scale=2.0,
            created=_CREATED,
            workers=1,
        )
    ]
)
STYLES: Final = StyleList(
    data=[
        Style(
            name="watercolor",
            prompt="watercolor painting of {prompt}, soft light",
            negative_prompt="photo",
            defaults=StyleDefaults(num_inference_steps=30),
        )
    ]
)
CAPABILITIES: Final = Capabilities(
    version="1.0",
    kinds=tuple(JobKind),
    output_formats=tuple(OutputFormat),
    prompt_syntaxes=tuple(PromptSyntax),
    models=(ModelModes(id="shapes", family="SD 1.x", modes=modes(_LIMITS), workers=1),),
    adapters={AdapterKind.LORA: 1},
    upscalers=("lanczos",),
    styles=1,
    limits=ServiceLimits(
        images_per_request=10,
        requests_per_batch=64,
        prompt_characters=10_000,
        body_bytes=65_536,
        body_with_pictures_bytes=26_214_400,
        image_bytes=20_971_520,
        image_pixels=16_777_216,
        wait_s=120,
        keep_for_s=86_400,
        url_ttl_s=3_600,
    ),
)
