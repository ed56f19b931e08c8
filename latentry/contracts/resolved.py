"""What a client asked for, with every omitted field filled in."""

from typing import Any, Final

from pydantic import Field

from latentry.contracts.fields import sampling
from latentry.contracts.fields.adapters.control import Control
from latentry.contracts.fields.adapters.embedding import Embedding
from latentry.contracts.fields.adapters.image_prompt import ImagePrompt
from latentry.contracts.fields.adapters.lora import Lora
from latentry.contracts.fields.adapters.vae import Vae
from latentry.contracts.fields.bounds import PREVIEW_SIDE_PX
from latentry.contracts.fields.clip import Clip
from latentry.contracts.fields.conditioning import PromptSyntax
from latentry.contracts.fields.hires import Hires
from latentry.contracts.fields.inputs import (
    Extend,
    InpaintArea,
    InputFile,
    MaskChannel,
    MaskFill,
    ResizeMode,
)
from latentry.contracts.fields.intermediates import Intermediates
from latentry.contracts.fields.interpolation import Interpolation
from latentry.contracts.fields.job import JobKind
from latentry.contracts.fields.places import FIELDS, pictures
from latentry.contracts.fields.sampling import Determinism, Seamless, steps_before
from latentry.contracts.fields.templates import Template
from latentry.contracts.outputs import OutputFormat
from latentry.contracts.provenance.marks import Provenance
from latentry.contracts.samplers import Sampler, Spacing
from latentry.contracts.wire import ResponseModel

# Fields of a resolved request that change neither an image nor its file. All other fields do: a new
# one that does not must be added here.
WITHOUT_EFFECT: Final = frozenset({"intermediates", "metadata", "preview_interval", "preview_size"})
# Nor do these change the pixels of one image, whose own seeds are stored separately.
_NOT_PIXELS: Final = WITHOUT_EFFECT | {
    *("n", "seed", "template", "variation_seed"),
    *("output_format", "output_quality", "output_lossless", "provenance"),
}


class ResolvedRequest(ResponseModel):
    """A request with every omitted field filled in: what a worker runs and what repeats the images.

    Without bounds: a reader accepts what an older or newer service admitted.
    """

    model: sampling.ModelId
    prompt: str = ""
    negative_prompt: str = ""
    prompt_syntax: PromptSyntax = PromptSyntax.WEIGHTED
    template: Template | None = None
    clip_skip: int | None = None
    loras: tuple[Lora, ...] = ()
    vae: Vae | None = None
    controls: tuple[Control, ...] = ()
    image_prompts: tuple[ImagePrompt, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    width: int
    height: int
    num_inference_steps: int
    denoise_start: float = 0.0
    denoise_end: float = 1.0
    refiner: str | None = None
    refiner_switch_at: float = 0.8
    guidance_scale: float
    guidance_rescale: float = 0.0
    guidance_stop: float = 1.0
    cache_interval: int = 1
    sampler: Sampler
    spacing: Spacing = Spacing.DEFAULT
    original_size: tuple[int, int] | None = None
    crops_coords_top_left: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    seed: int
    seamless: Seamless = Seamless.NONE
    variation_seed: int | None = None
    variation_strength: float = 0.0
    image: InputFile | None = None
    mask: InputFile | None = None
    strength: float | None = None
    image_guidance_scale: float | None = None
    resize_mode: ResizeMode = ResizeMode.STRETCH
    mask_blur: int = 0
    mask_channel: MaskChannel = MaskChannel.AUTO
    mask_fill: MaskFill = MaskFill.ORIGINAL
    inpaint_area: InpaintArea = InpaintArea.WHOLE
    mask_padding: int = 32
    extend: Extend | None = None
    hires: Hires | None = None
    clip: Clip | None = Field(None, exclude_if=lambda clip: clip is None)
    n: int = 1
    output_format: OutputFormat = OutputFormat.PNG
    output_quality: int | None = None
    output_lossless: bool = False
    provenance: Provenance = Provenance.FULL
    determinism: Determinism = Determinism.FAST
    preview_interval: int = 0
    preview_size: int = PREVIEW_SIDE_PX
    intermediates: Intermediates | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    interpolation: Interpolation | None = Field(None, exclude_if=lambda way: way is None)

    @property
    def kind(self) -> JobKind:
        """What its job makes: each kind but a plain generation has a record of its own here."""
        if self.clip is not None:
            return JobKind.CLIP
        return JobKind.INTERPOLATION if self.interpolation else JobKind.GENERATION

    @property
    def is_sequence(self) -> bool:
        """Whether its pictures are frames of one sequence, which with a hole is none."""
        return self.kind is not JobKind.GENERATION

    @property
    def frames(self) -> int:
        """How many pictures each of its n are: those of a clip, or one."""
        return 1 if self.clip is None else self.clip.frames

    @property
    def pictures(self) -> int:
        """How many final pictures its job stores."""
        return self.n * self.frames

    @property
    def repaints(self) -> bool:
        """Whether a part of its picture is kept."""
        return self.mask is not None or self.extend is not None

    @property
    def models(self) -> tuple[str, ...]:
        """The models that make its steps."""
        return (self.model,) if self.refiner is None else (self.model, self.refiner)

    @property
    def negative_rows(self) -> int:
        """Rows of a guided UNet call that are of the negative prompt: two if it edits a picture."""
        if self.guidance_scale <= 1:
            return 0
        return 1 if self.image_guidance_scale is None else 2

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the finished image, in pixels."""
        last = self.hires or self
        return last.width, last.height

    @property
    def last_step(self) -> int:
        """The number of its first pass's last step."""
        return steps_before(self.denoise_end, self.num_inference_steps)

    @property
    def total_steps(self) -> int:
        """The number of its last step; a second pass counts those alone that it makes."""
        return self.last_step + (self.hires.made_steps if self.hires else 0)

    def seed_of(self, index: int) -> int:
        """The seed of its `index`-th image. Variations are of one image: they keep it."""
        return self.seed if self.variation_strength else self.seed + index

    def variation_seed_of(self, index: int) -> int | None:
        """The variation seed of its `index`-th image; None if it has no effect."""
        if not self.variation_strength or self.variation_seed is None:
            return None
        return self.variation_seed + index

    def of_image(self, index: int) -> "ResolvedRequest":
        """The request that makes its `index`-th image alone."""
        if self.n == 1 and index == 0:
            return self
        seeds: dict[str, int | None] = {"seed": self.seed_of(index), "n": 1}
        if self.variation_strength:
            seeds["variation_seed"] = self.variation_seed_of(index)
        return self.model_copy(update=seeds)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The SHA-256 of each adapter that changes its images, once, as the request names them."""
        keyframes = self.interpolation.keyframes if self.interpolation else ()
        changing: tuple[Lora | Control | ImagePrompt, ...]
        changing = (*self.loras, *self.controls, *self.image_prompts)
        named = [one.sha256 for one in changing if one.has_effect]
        named += [one.sha256 for one in self.embeddings]
        named += [one.sha256 for at in keyframes for one in at.embeddings]
        named += [self.vae.sha256] if self.vae else []
        return tuple(dict.fromkeys(named))

    def inputs(self) -> dict[str, InputFile]:
        """The files that it names, by place: `image`, `controls/0/image`."""
        return pictures(self)

    def pixel_fields(self) -> dict[str, Any]:
        """What an image's pixels depend on apart from its seed, ready for JSON.

        Fields at their default are left out: a new field changes nothing for requests without it.
        """
        # Of a picture its pixels count, not the file that has them; of adapters theirs.
        left_out: dict[str, Any] = dict.fromkeys(_NOT_PIXELS, True)
        left_out |= {name: {"file", "c2pa"} for name in FIELDS}
        left_out["loras"] = {"__all__": {"id", "autov3"}}
        left_out["vae"] = {"id"}
        of_control = {"id": True, "autov3": True, "kind": True, "image": {"file", "c2pa"}}
        left_out["controls"] = {"__all__": of_control}
        left_out["image_prompts"] = {"__all__": {"id": True, "image": {"file", "c2pa"}}}
        left_out["clip"] = {"fps", "output"}
        return self.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
