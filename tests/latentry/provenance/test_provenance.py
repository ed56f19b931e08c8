"""What an image file says about its making; reading it needs no GPU package."""

import json
import subprocess
import sys
from typing import Any

import pytest

from latentry.contracts import (
    ControlMode,
    Embedding,
    GenerationRequest,
    Hires,
    Lora,
    Preprocess,
)
from latentry.provenance.infotext import infotext
from latentry.provenance.recipe import recipe
from tests.latentry.contracts.resolved import CHANGES, RESOLVED

# What changes no image.
NOT_IN_RECIPES = {"metadata", "preview_interval", "preview_size", "intermediates"}
MODULES = ("infotext", "recipe", "exif")


@pytest.mark.parametrize("module", MODULES)
def test_the_gateway_can_read_provenance_without_the_worker_s_packages(module: str) -> None:
    loaded = f"import sys, latentry.provenance.{module}; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "numpy", "diffusers", "transformers", "worker"} & set(names)
    assert ("PIL" in names) == (module == "exif")


def test_a_recipe_is_a_request_with_every_field() -> None:
    said = json.loads(recipe(RESOLVED, seed=9))
    again = GenerationRequest.model_validate_json(recipe(RESOLVED, seed=9))
    assert said.keys() == type(RESOLVED).model_fields.keys() - NOT_IN_RECIPES - {
        "interpolation",
        "clip",
    }
    assert (again.seed, again.n, again.width) == (9, 1, RESOLVED.width)


def test_the_recipe_of_a_second_pass_makes_it_again() -> None:
    changed = RESOLVED.model_copy(update={"hires": CHANGES["hires"]})
    again = GenerationRequest.model_validate_json(recipe(changed, seed=9))
    assert again.hires is not None
    assert again.hires.model_dump(exclude={"scale"}) == CHANGES["hires"].model_dump()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "Denoising strength: 0.7, Hires upscale: 2, Hires steps: 14, Hires upscaler: Latent,"),
        ({"height": 256}, "Denoising strength: 0.7, Hires resize: 256x256, Hires steps: 14,"),
        ({"upscaler": "lanczos"}, "Hires upscaler: Lanczos,"),
    ],
)
def test_a_second_pass_has_the_names_of_automatic1111(changes: dict[str, Any], line: str) -> None:
    hires = Hires.model_validate(CHANGES["hires"].model_dump() | changes)
    assert line in infotext(RESOLVED.model_copy(update={"hires": hires}), 9)


def test_a_second_pass_after_a_picture_has_a_strength_of_its_own() -> None:
    names = ("image", "strength", "hires")
    text = infotext(RESOLVED.model_copy(update={name: CHANGES[name] for name in names}), 9)
    assert "Denoising strength: 0.5," in text
    assert "Hires strength: 0.7," in text


@pytest.mark.parametrize("name", sorted(CHANGES.keys() - {"n", "seed"}))
def test_recipes_differ_where_files_would(name: str) -> None:
    changed = RESOLVED.model_copy(update={name: CHANGES[name]})
    is_same = recipe(changed, seed=9) == recipe(RESOLVED, seed=9)
    assert is_same == (name in NOT_IN_RECIPES)


def test_the_recipe_of_an_intermediate_stores_it_again() -> None:
    changed = RESOLVED.model_copy(update={"intermediates": CHANGES["intermediates"]})
    again = GenerationRequest.model_validate_json(recipe(changed, seed=9, is_intermediate=True))
    assert again.intermediates is not None
    assert again.intermediates.model_dump() == changed.intermediates.model_dump()


def test_controls_are_lines_as_automatic1111_s_extension_writes_them() -> None:
    [control] = CHANGES["controls"]
    edges = {"preprocess": Preprocess.CANNY, "mode": ControlMode.PROMPT, "end": 0.8}
    controls = (control, control.model_copy(update=edges))
    line = infotext(RESOLVED.model_copy(update={"controls": controls}), 7).split("\n")[-1]
    assert (
        'ControlNet 0: "Module: none, Model: lines [66666666], Weight: 0.5, Resize Mode: Just'
        " Resize, Guidance Start: 0.0, Guidance End: 1.0, Pixel Perfect: True, Control Mode:"
        f' Balanced", Control image 0: {"5" * 64}, '
    ) in line
    assert (
        'ControlNet 1: "Module: canny, Model: lines [66666666], Weight: 0.5, Resize Mode: Just'
        " Resize, Threshold A: 100, Threshold B: 200, Guidance Start: 0.0, Guidance End: 0.8,"
        ' Pixel Perfect: True, Control Mode: My prompt is more important"'
    ) in line


def test_loras_are_tags_and_hashes_as_automatic1111_writes_them() -> None:
    """Its tag has the text encoders' weight first; its hashes are quoted, as they have colons."""
    loras = [("ink", 0.8, 0.8, "a"), ("pen v2", -0.5, 1.0, "b")]
    request = RESOLVED.model_copy(
        update={
            "loras": tuple(
                Lora(id=name, weight=unet, text_encoder_weight=text, sha256="", autov3=12 * digit)
                for name, unet, text, digit in loras
            )
        }
    )
    first, *_, line = infotext(request, 7).split("\n")
    assert first == "a red circle <lora:ink:0.8> <lora:pen v2:1:-0.5>"
    assert 'Lora hashes: "ink: aaaaaaaaaaaa, pen v2: bbbbbbbbbbbb"' in line


def test_embeddings_are_hashes_as_automatic1111_writes_them() -> None:
    """The first digits of the whole file's SHA-256, where a LoRA's leaves out the header."""
    embeddings = tuple(
        Embedding(id=id, sha256=digit * 64, vectors=1)
        for id, digit in (("EasyNegative", "c"), ("bad-hands 5", "d"))
    )
    line = infotext(RESOLVED.model_copy(update={"embeddings": embeddings}), 7).split("\n")[-1]
    assert 'TI hashes: "EasyNegative: cccccccccccc, bad-hands 5: dddddddddddd"' in line
    assert "TI hashes" not in infotext(RESOLVED, 7)
