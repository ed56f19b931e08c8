"""What the `.yaml` beside a checkpoint says is obeyed, warned of, or refuses the model."""

from pathlib import Path

import pytest

from latentry.errors import ConfigurationError
from tests.worker.engine.models import layouts
from worker.engine.models.sources.single_file.families import SD1, SD2, SDXL, Family
from worker.engine.models.sources.single_file.yaml_config import YamlConfig, read_yaml_beside


def read(folder: Path, text: str, family: Family = SD1, end: str = ".yaml") -> YamlConfig:
    (folder / f"dream{end}").write_text(text)
    return read_yaml_beside(folder / "dream.safetensors", family)


def test_a_file_without_one_says_nothing(tmp_path: Path) -> None:
    assert read_yaml_beside(tmp_path / "dream.safetensors", SD1) == YamlConfig()


@pytest.mark.parametrize("end", [".yaml", ".yml"])
def test_ldms_entries_are_read(tmp_path: Path, end: str) -> None:
    found = read(tmp_path, layouts.YAML_V.replace("1000", "500"), end=end)
    assert (found.prediction, found.vae_scaling) == ("v_prediction", 0.18215)
    assert found.scheduler == {
        "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 500,
    }  # fmt: skip
    assert found.warnings == ()


def test_ldm_predicts_epsilon_where_nothing_says_otherwise_and_sgm_says_nothing(
    tmp_path: Path,
) -> None:
    silent = read(tmp_path, layouts.YAML_EPSILON_2, SD2)
    assert (silent.prediction, silent.default_prediction) == (None, "epsilon")
    sgm = read(tmp_path, layouts.YAML_SGM_V, SDXL)
    assert (sgm.prediction, sgm.default_prediction) == ("v_prediction", None)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"v"', '"flow"', "predicts 'flow'"),
        ("num_heads: 8", "num_heads: 4", "num_heads: 4"),
        ("timesteps: 1000", "beta_schedule: cosine", "noise schedule 'cosine'"),
        ("scale_factor: 0.18215", "scale_factor: wide", "no number"),
        ("model:", "model: [", "cannot be read"),
        ("model:", "model: !!python/object/apply:os.system [ls]", "cannot be read"),
        ("model:", "[" * 100_000, "cannot be read"),
        ("model:", "# " * 600_000, "more than"),
    ],
)
def test_what_cannot_be_obeyed_refuses_the_model(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in layouts.YAML_V
    with pytest.raises(ConfigurationError, match=sentence):
        read(tmp_path, layouts.YAML_V.replace(old, new, 1))


def test_sd2s_text_encoder_gives_its_last_layer_but_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="layer 'last'"):
        read(tmp_path, layouts.YAML_EPSILON_2.replace("penultimate", "last"), SD2)


def test_another_discretization_refuses_the_model(tmp_path: Path) -> None:
    text = layouts.YAML_SGM_V.replace("LegacyDDPMDiscretization", "EDMDiscretization")
    with pytest.raises(ConfigurationError, match="EDMDiscretization"):
        read(tmp_path, text, SDXL)


@pytest.mark.parametrize("text", ["", "a list:\n- 1\n", "- 1\n", "model: {params: 3}\n"])
def test_a_yaml_of_something_else_is_told_on_the_card(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert found.prediction is None
    assert found.warnings == ("dream.yaml has no model.params; nothing of it is used.",)
