"""What an image file says about its making; reading it needs no GPU package."""

import json
import subprocess
import sys

import pytest

from latentry.contracts import GenerationRequest
from latentry.provenance.recipe import recipe
from tests.latentry.contracts.resolved import CHANGES, RESOLVED

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
    assert said.keys() == type(RESOLVED).model_fields.keys() - {"metadata", "preview_interval"}
    assert (again.seed, again.n, again.width) == (9, 1, RESOLVED.width)


@pytest.mark.parametrize("name", sorted(CHANGES.keys() - {"n", "seed"}))
def test_recipes_differ_where_files_would(name: str) -> None:
    changed = RESOLVED.model_copy(update={name: CHANGES[name]})
    is_same = recipe(changed, seed=9) == recipe(RESOLVED, seed=9)
    assert is_same == (name in {"metadata", "preview_interval"})
