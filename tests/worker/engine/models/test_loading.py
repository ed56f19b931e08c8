"""Model folders: what is read from them, and what is refused with a sentence."""

import dataclasses
import json
import shutil
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry.contracts import Sampler, Spacing
from latentry.errors import ConfigurationError, EngineError, NonFiniteOutput
from tests.worker.engine import tiny
from worker.engine.device import Device
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models.loading.loading import Loading
from worker.engine.models.loading.part_reader import PartReader
from worker.engine.models.sources.folder import blueprint_from_folder
from worker.engine.samplers import SAMPLERS


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a tiny model that a test may spoil."""
    return Path(shutil.copytree(folders["epsilon"], tmp_path / "model"))


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_card_is_derived_from_the_configs(backend: Diffusion, folder: Path) -> None:
    card = backend.load("plain", folder)
    assert card.id == "plain"
    assert (card.defaults.width, card.defaults.height) == (64, 64)
    assert (card.defaults.num_inference_steps, card.defaults.guidance_scale) == (30, 7.5)
    assert (card.limits.min_side, card.limits.max_side, card.limits.size_step) == (64, 128, 8)
    assert set(card.samplers) == set(SAMPLERS)
    assert card.defaults.sampler in SAMPLERS


def test_a_models_overrides_win(backend: Diffusion, folder: Path) -> None:
    overrides = {
        "id": "shapes", "native_width": 128, "native_height": 96, "default_steps": 25,
        "default_guidance_scale": 5.0, "default_sampler": "euler", "min_side": 96,
        "max_side": 192, "size_step": 32, "max_steps": 100,
    }  # fmt: skip
    (folder / "latentry.json").write_text(json.dumps(overrides))
    card = backend.load("shapes", folder)
    assert card.defaults.model_dump() == {
        "width": 128, "height": 96, "num_inference_steps": 25, "guidance_scale": 5.0,
        "sampler": Sampler.EULER, "spacing": "default",
    }  # fmt: skip
    assert card.limits.model_dump() == {
        "min_side": 96, "max_side": 192, "size_step": 32, "max_steps": 100,
        "max_clip_skip": 2, "size_conditioning": False, "images": True, "previews": False,
        "strict_rows": 8, "edits": False, "refines": False, "clips": (), "max_frames": 0,
    }  # fmt: skip


def test_a_misspelt_override_is_refused(backend: Diffusion, folder: Path) -> None:
    (folder / "latentry.json").write_text('{"defualt_steps": 20}')
    with pytest.raises(ConfigurationError, match="defualt_steps"):
        backend.load("model", folder)


def pickle_weights(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")


def name_a_class(folder: Path) -> None:
    edit(folder / "model_index.json", unet=["mine", "SomethingElse"])


def want_more_than_text(folder: Path) -> None:
    edit(folder / "unet" / "config.json", time_cond_proj_dim=16)


def take_inpainting_channels(folder: Path) -> None:
    edit(folder / "vae" / "config.json", latent_channels=9)


def break_json(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def scheduler(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "scheduler" / "scheduler_config.json", **changes)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (pickle_weights, "pickles are not loaded"),
        (name_a_class, "SomethingElse as its unet"),
        (want_more_than_text, "time_cond_proj_dim"),
        (take_inpainting_channels, "does not load|not supported"),
        (break_json, "model_index.json cannot be read"),
        (shutil.rmtree, "model_index.json cannot be read"),
        (scheduler(thresholding=True), "thresholding=True"),
        (scheduler(rescale_betas_zero_snr=True), "zero terminal SNR"),
        (scheduler(beta_schedule="mine"), "beta_schedule='mine'"),
        (scheduler(prediction_type="flow_prediction"), "prediction_type"),
        (scheduler(timestep_spacing="random"), "timestep_spacing"),
    ],
)
def test_a_folder_that_cannot_be_served_is_refused_with_a_sentence(
    backend: Diffusion, folder: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(folder)
    with pytest.raises(ConfigurationError, match=sentence):
        backend.load("model", folder)


def name_a_scheduler(folder: Path, name: str) -> None:
    """In the index, which decides; the config says something else."""
    edit(folder / "model_index.json", scheduler=["diffusers", name])


def test_a_folders_scheduler_decides_the_default_sampler(backend: Diffusion, folder: Path) -> None:
    name_a_scheduler(folder, "LMSDiscreteScheduler")
    scheduler(use_karras_sigmas=True)(folder)
    card = backend.load("lms", folder)
    assert (card.defaults.sampler, card.defaults.spacing) == (Sampler.LMS, Spacing.KARRAS)
    assert card.warnings == ()


def test_a_scheduler_that_only_has_a_nearest_sampler_is_a_warning_on_the_card(
    backend: Diffusion, folder: Path
) -> None:
    name_a_scheduler(folder, "DPMSolverSDEScheduler")
    scheduler(sigma_shift=3)(folder)
    card = backend.load("sde", folder)
    assert card.defaults.sampler is Sampler.DPMPP_SDE
    nearest, unknown = card.warnings
    assert nearest == (
        "The model's scheduler is the DPMSolverSDEScheduler, which is not implemented; its default "
        "sampler is the nearest one, dpmpp_sde."
    )
    assert "sigma_shift=3" in unknown
    (folder / "latentry.json").write_text('{"default_sampler": "euler"}')
    assert backend.load("sde", folder).warnings == (unknown,)


def test_a_scheduler_that_nothing_here_is_near_is_refused(backend: Diffusion, folder: Path) -> None:
    name_a_scheduler(folder, "EDMEulerScheduler")
    with pytest.raises(ConfigurationError, match="EDMEulerScheduler as its scheduler"):
        backend.load("edm", folder)


def test_old_configs_are_read_as_the_pipeline_of_sd_corrects_them(
    backend: Diffusion, folder: Path
) -> None:
    scheduler(clip_sample=True, steps_offset=0)(folder)
    backend.load("old", folder)
    assert backend.models["old"].schedule.steps_offset == 1


@pytest.mark.parametrize("model", tiny.SCHEDULERS)
def test_a_sound_model_passes_its_self_test(backend: Diffusion, model: str) -> None:
    assert backend.self_test(model) > 0


def test_a_model_that_makes_nan_fails_its_self_test(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backend.models["epsilon"]

    class Unet:
        config = model.unet.config

        def __call__(self, x: torch.Tensor, *args: Any, **options: Any) -> Any:
            return (x * float("nan"),)

    backend.adopt("epsilon", dataclasses.replace(model, unet=Unet()))
    with pytest.raises(NonFiniteOutput):
        backend.self_test("epsilon")
    monkeypatch.setattr(Unet, "__call__", lambda *_, **__: 1 / 0)
    with pytest.raises(EngineError):
        backend.self_test("epsilon")


def test_weights_are_half_where_chosen(folder: Path) -> None:
    backend = Diffusion(device="cpu", dtype="bfloat16")
    backend.load("half", folder)
    backend.self_test("half")


def test_what_was_read_before_a_failure_is_not_kept_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[torch.nn.Module]] = []

    def read(*_: object) -> dict[str, torch.nn.Module]:
        network = torch.nn.Linear(1, 1)
        seen.append(weakref.ref(network))
        return {"unet": network}

    def fail(*_: object) -> str:
        raise ValueError("damaged")

    monkeypatch.setattr(PartReader, "read_all", read)
    monkeypatch.setattr("worker.engine.models.loading.loading.fingerprints", fail)
    blueprint = blueprint_from_folder("m", folder, prefer_fp16=False)
    loading = Loading(blueprint, Device.choose("cpu", "float32"))
    loading.start()
    assert loading.has_read(60)
    assert {one() for one in seen} == {None}
    with pytest.raises(ConfigurationError, match="damaged"):
        loading.loaded()


def test_tokenizers_are_made_while_weights_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint = blueprint_from_folder("a", folder, prefer_fp16=False)
    begun = threading.Event()

    def tokenizer() -> Any:
        begun.set()
        return blueprint.tokenizers["tokenizer"]()

    def read(self: PartReader, names: Iterable[str]) -> Any:
        assert begun.wait(30), "it was left for later"
        return reads(self, names)

    def refuse(tokenizer: object) -> None:
        raise AssertionError("what reads prompts is made beside the reading too")

    reads = PartReader.read_all
    monkeypatch.setattr(PartReader, "read_all", read)
    monkeypatch.setattr("worker.engine.conditioning.tokens.reading_all_words", refuse)
    begins_first = dataclasses.replace(blueprint, tokenizers={"tokenizer": tokenizer})
    Loading(begins_first, Device.choose("cpu", "float32")).read()
