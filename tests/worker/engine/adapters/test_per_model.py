from dataclasses import replace
from pathlib import Path

from worker.engine.adapters.per_model import PerModel
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.sources.folder import blueprint_from_folder


def test_what_readers_make_of_a_model_is_made_once_until_it_is_replaced(
    folders: dict[str, Path],
) -> None:
    made: list[Blueprint] = []

    def number(blueprint: Blueprint) -> int:
        made.append(blueprint)
        return len(made)

    per_model = PerModel(number)
    one, other = (
        blueprint_from_folder(name, folders["epsilon"], prefer_fp16=False) for name in "ab"
    )
    replaced = replace(one)
    assert [per_model.of(model) for model in (one, one, other, one)] == [1, 1, 2, 1]
    assert [per_model.of(model) for model in (replaced, replaced, other)] == [3, 3, 2]
