"""What its answers look like, for the API document."""

from typing import Final

from pydantic import BaseModel

from service.doors.answers import PICTURE
from service.doors.automatic1111.answers.generations import (
    BatchImagesAnswer,
    CaptionAnswer,
    GenerationAnswer,
    PngInfoAnswer,
    SingleImageAnswer,
)
from service.doors.automatic1111.answers.lists import (
    EmbeddingItem,
    Embeddings,
    Memory,
    ScriptsList,
)
from service.doors.automatic1111.routes.controlnet import (
    ControlNetVersion,
    ControlType,
    ControlTypes,
    Detected,
    ModelNames,
    ModuleNames,
    UnitCount,
)
from service.doors.automatic1111.routes.options import OptionsAnswer
from service.doors.automatic1111.routes.progress import (
    PendingAnswer,
    ProgressAnswer,
    State,
    TaskAnswer,
)

_BASE64: Final = PICTURE.partition(",")[2]
_TEXT: Final = "a red circle\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 7, Size: 128x128"
_CANNY: Final = ControlType(
    module_list=["canny", "none"],
    model_list=["None", "outlines [0a1b2c3d]"],
    default_option="canny",
    default_model="outlines [0a1b2c3d]",
)
_ALL: Final = (
    GenerationAnswer(
        images=[_BASE64],
        parameters={"prompt": "a red circle", "steps": 20},
        info='{"prompt": "a red circle", "seed": 7, "all_seeds": [7]}',
    ),
    SingleImageAnswer(html_info="<p>Postprocess upscale by: 2</p>", image=_BASE64),
    BatchImagesAnswer(html_info="<p>Postprocess upscale by: 2</p>", images=[_BASE64]),
    CaptionAnswer(caption="a red circle on a blue background"),
    PngInfoAnswer(info=_TEXT, items={"parameters": _TEXT}, parameters={"Steps": "20"}),
    OptionsAnswer(
        sd_model_checkpoint="shapes",
        sd_vae="Automatic",
        CLIP_stop_at_last_layers=1,
        samples_format="png",
        jpeg_quality=80,
        control_net_no_detectmap=False,
        live_previews_enable=True,
        show_progress_every_n_steps=1,
        eta_noise_seed_delta=0,
    ),
    ProgressAnswer(
        progress=0.51,
        eta_relative=1.5,
        state=State(job="task(1)", job_count=1, sampling_step=10, sampling_steps=20),
    ),
    TaskAnswer(active=True, progress=0.51, eta=1.5),
    PendingAnswer(size=1, tasks=["task(1)"]),
    Embeddings(loaded={"mascot": EmbeddingItem(vectors=2)}, skipped={}),
    ScriptsList(txt2img=["controlnet"], img2img=["controlnet"]),
    Memory(ram={"error": "unavailable"}, cuda={"error": "unavailable"}),
    ControlNetVersion(version=3),
    ModelNames(model_list=["None", "outlines [0a1b2c3d]"]),
    ModuleNames(module_list=["none", "canny"], module_detail={}),
    ControlTypes(control_types={"Canny": _CANNY}),
    Detected(info="Success", images=[_BASE64]),
    UnitCount(control_net_unit_count=4),
)
EXAMPLES: Final[dict[str, BaseModel]] = {type(one).__name__: one for one in _ALL}
