"""Settings from the environment."""

import multiprocessing
from pathlib import Path

import pytest

from latentry.errors import ConfigurationError
from latentry.settings import Settings


def test_nothing_set_makes_a_service_for_one_laptop() -> None:
    settings = Settings.from_env({"PATH": "/bin"})
    assert settings.host == "127.0.0.1"
    assert settings.base_url == "http://127.0.0.1:8000"
    assert list(settings.model_paths) == ["shapes"]


def test_a_misspelt_variable_is_named_with_the_right_spelling() -> None:
    with pytest.raises(ConfigurationError, match="did you mean LATENTRY_REDIS_URL"):
        Settings.from_env({"LATENTRY_REDIS_ULR": "redis://x"})


def test_a_value_of_the_wrong_kind_is_named_with_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="LATENTRY_PORT is not usable"):
        Settings.from_env({"LATENTRY_PORT": "eight thousand"})


def test_secrets_do_not_show_in_a_repr() -> None:
    settings = Settings.from_env({"LATENTRY_REDIS_URL": "redis://:hunter2@db/0"})
    assert "hunter2" not in repr(settings)


def test_settings_survive_the_way_to_a_child_process() -> None:
    settings = Settings.from_env({"LATENTRY_REDIS_URL": "redis://:pw@db/0", "LATENTRY_PORT": "1"})
    assert Settings.from_env(settings.to_env()) == settings


def test_an_address_that_means_every_interface_is_not_told_to_clients() -> None:
    settings = Settings.from_env({"LATENTRY_HOST": "0.0.0.0"})
    assert settings.base_url == "http://127.0.0.1:8000"


def _read_key(folder: Path) -> bytes:
    return Settings.from_env({"LATENTRY_DATA_DIR": str(folder)}).signing_secret()


def test_processes_that_start_together_share_one_signing_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        keys = set(pool.map(_read_key, [tmp_path] * 32))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert [file.name for file in tmp_path.iterdir()] == ["signing.key"]
    assert (tmp_path / "signing.key").stat().st_mode & 0o077 == 0
