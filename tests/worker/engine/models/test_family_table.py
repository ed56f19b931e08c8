"""Every layout of the table in docs/models.md: served as its folder, or refused by name."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry.errors import ConfigurationError
from tests.worker.engine.models import family_table, small
from tests.worker.engine.models.family_table import ROWS, Row
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.sources.sources import blueprint_from_source

Networks = dict[str, torch.nn.Module]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("families")
    return cache(lambda family: small.make(root / family, family))


def networks(blueprint: Blueprint) -> Networks:
    return {name: part.read() for name, part in blueprint.parts.items()}


@torch.inference_mode()
def outputs(blueprint: Blueprint, found: Networks) -> dict[str, torch.Tensor]:
    """What each network makes of the same input."""
    for network in found.values():
        network.to(torch.float32)
    torch.manual_seed(0)
    ids = torch.tensor([[49406, 320, 1125, 49407]])
    texts = {name: found[name] for name in found if name.startswith("text_encoder")}
    hidden = {name: text(ids, output_hidden_states=True) for name, text in texts.items()}
    states = [one.hidden_states[-2 if blueprint.is_xl else -1] for one in hidden.values()]
    prompt = torch.cat(states, -1)
    more: dict[str, Any] = {}
    if blueprint.is_xl:
        pooled = hidden["text_encoder_2"].text_embeds
        numbers = 5 if blueprint.card.limits.refines else 6
        more["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": torch.ones(1, numbers)}
    x = torch.randn(1, 4, 8, 8)
    wide = torch.randn(1, found["unet"].config.in_channels, 8, 8)
    return {
        "prompt": prompt,
        "unet": found["unet"](wide, 500, prompt, **more).sample,
        "vae": found["vae"].decode(x).sample,
    }


@pytest.fixture(scope="module")
def stock(made: Any) -> Any:
    """The networks of a family's folder, with weights as a layout has them, and their outputs."""

    @cache
    def of(family: str, means: family_table.Meaning) -> tuple[Any, Any]:
        blueprint = blueprint_from_source("folder", made(family), prefer_fp16=False)
        found = networks(blueprint)
        with torch.no_grad():
            for part, network in found.items():
                for tensor in network.state_dict().values():
                    tensor.copy_(means(part, tensor))
        return {name: one.state_dict() for name, one in found.items()}, outputs(blueprint, found)

    return of


def names(row: Row) -> str:
    return f"{type(row).__name__}: {row.what}".replace("`", "")


@pytest.mark.parametrize("row", [row for row in ROWS if row.is_served], ids=names)
def test_a_layout_is_served_as_its_folder(row: Row, made: Any, stock: Any, tmp_path: Path) -> None:
    source = row.write(made(row.family), tmp_path)
    blueprint = blueprint_from_source("m", source, prefer_fp16=False)
    found = networks(blueprint)
    weights, expected = stock(row.family, row.means)
    assert found.keys() == weights.keys()
    for part, network in found.items():
        state = network.state_dict()
        assert state.keys() == weights[part].keys()
        different = [
            name for name, t in state.items() if not torch.equal(t.float(), weights[part][name])
        ]
        assert not different
    ours = outputs(blueprint, found)
    assert [name for name, one in ours.items() if not torch.equal(one, expected[name])] == []
    assert blueprint.schedule.prediction == row.predicts
    assert bool(blueprint.schedule.alphas_cumprod[-1] == 0) == row.has_zero_snr
    if row.side_px:
        assert blueprint.card.defaults.width == row.side_px
    assert blueprint.card.limits.refines == (row.family == "refiner")
    assert blueprint.zeros_for_empty == (row.family != "refiner")
    assert blueprint.card.limits.edits == row.family.endswith("-edit")
    assert bool(blueprint.card.warnings) == bool(row.says)
    assert row.says in " ".join(blueprint.card.warnings)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_served], ids=names)
def test_a_layout_is_refused_with_a_sentence(row: Row, made: Any, tmp_path: Path) -> None:
    source = row.write(made(row.family), tmp_path)
    with pytest.raises(ConfigurationError) as refusal:
        networks(blueprint_from_source("m", source, prefer_fp16=False))
    assert row.says in refusal.value.message
    assert refusal.value.message.endswith(".")


def test_the_document_has_this_very_table() -> None:
    text = family_table.DOCUMENT.read_text()
    written = text.partition(family_table.BEGIN)[2].partition(family_table.END)[0]
    assert written == family_table.table(), "run python -m tests.worker.engine.models.family_table"
