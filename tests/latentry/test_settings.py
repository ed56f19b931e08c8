"""Settings from the environment."""

import multiprocessing
from pathlib import Path

import pytest

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from latentry.sources import HubPin, Simulation


def test_the_defaults_suit_one_laptop() -> None:
    settings = Settings.from_env({"PATH": "/bin"})
    assert settings.host == "127.0.0.1"
    assert settings.base_url == "http://127.0.0.1:8000"
    assert list(settings.model_sources) == ["shapes"]


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_misspelt_variable_is_named_with_the_right_spelling() -> None:
    with pytest.raises(ConfigurationError, match="did you mean LATENTRY_REDIS_URL"):
        Settings.from_env({"LATENTRY_REDIS_ULR": "redis://x"})


def test_a_value_of_the_wrong_type_is_named_with_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="LATENTRY_PORT is invalid"):
        Settings.from_env({"LATENTRY_PORT": "eight thousand"})


def test_secrets_do_not_show_in_a_repr() -> None:
    settings = Settings.from_env({"LATENTRY_REDIS_URL": "redis://:hunter2@db/0"})
    assert "hunter2" not in repr(settings)


def test_settings_survive_the_way_to_a_child_process() -> None:
    settings = Settings.from_env({"LATENTRY_REDIS_URL": "redis://:pw@db/0", "LATENTRY_PORT": "1"})
    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("MODELS", "a=owner/name@main", "must end in the 40 hexadecimal digits of a commit"),
        ("MODELS", "a=x,simulated:", "'simulated:' is not a folder: it needs an id"),
        (
            "MODELS",
            f"owner/name@{'0' * 40}",
            "is not a folder: it needs an id, as in id=owner/name@",
        ),
        ("MODELS", "Shapes=x", "'Shapes' does not start"),
        ("MODELS", "shapes=", "'shapes' does not start"),
        ("MODELS", "a:b=x", "'a:b' does not start"),
        ("MODELS", " ,", "it must name a model"),
        ("MODELS", "a=x,a=y", "an id appears twice"),
        ("REDIS_URL", "127.0.0.1:6379", "it must be redis://"),
        ("REDIS_URL", "http://db", "it must be redis://"),
        ("REDIS_URL", "redis://:hunter2#@db", "it must be redis://"),
        ("REDIS_URL", "redis://db/main", "it must be redis://"),
        ("REDIS_URL", "", "it must be redis://"),
        ("REDIS_URL", "rediss://db?ssl_cert_reqs=none", "options of TLS are in LATENTRY_REDIS_TLS"),
        ("REDIS_URL", "redis://:hunter2;@db", "percent-encoded"),
        ("REDIS_URL", "redis://:hunter2 @db", "percent-encoded"),
        ("REDIS_URL", "redis://db#1", "it must be redis://"),
        ("REDIS_TLS_CA_FILE", "ca.pem", "LATENTRY_REDIS_URL is not rediss://"),
        ("REDIS_TLS_VERIFY", "no", "match pattern"),
        ("LEASE_S", "2", "greater than or equal to 3"),
        ("LEASE_S", "inf", "finite"),
        ("LEASE_S", "3", "HEARTBEAT_S is invalid: it must be at most half of LATENTRY_LEASE_S"),
        ("HEARTBEAT_S", "3.5", "it must be at most half of LATENTRY_LEASE_S, which is 6"),
    ],
)
def test_invalid_settings_are_refused_with_a_sentence(name, value, why) -> None:
    with pytest.raises(ConfigurationError, match="is invalid") as caught:
        Settings.from_env({f"LATENTRY_{name}": value})
    assert why in caught.value.message
    assert "hunter2" not in caught.value.message


ALTERNATIVES = {
    name: pattern.removeprefix("^(").partition("|")[0]
    for name, schema in Settings.model_json_schema()["properties"].items()
    if (pattern := schema.get("pattern", "")).startswith("^(")
}


def test_settings_that_are_one_of_a_few_words_are_found() -> None:
    assert ALTERNATIVES.keys() >= {"log_level", "log_format", "auth", "device", "dtype", "compile"}


@pytest.mark.parametrize(("name", "word"), ALTERNATIVES.items())
def test_a_word_may_be_written_in_any_case(name: str, word: str) -> None:
    for written in (word.upper(), word.capitalize()):
        settings = Settings.from_env({f"LATENTRY_{name.upper()}": written})
        assert getattr(settings, name) == word


PATHS = [
    name
    for name, field in Settings.model_fields.items()
    if field.annotation is Path or name.endswith(("_dir", "_file", "_folder", "_path", "_ca"))
]


@pytest.mark.parametrize("name", PATHS)
def test_a_path_may_begin_with_the_home_folder(name: str, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    tls = {"LATENTRY_REDIS_URL": "rediss://db"}  # without it, its files are refused
    settings = Settings.from_env(tls | {f"LATENTRY_{name.upper()}": "~/it"})
    assert str(getattr(settings, name)) == "/home/me/it"
    with pytest.raises(ConfigurationError, match="unknown user"):
        Settings.from_env(tls | {f"LATENTRY_{name.upper()}": "~nobody-of-this-name/it"})


def test_so_may_the_path_of_a_model(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    sources = Settings(models="a=~/a.safetensors,b=./~/b").model_sources
    assert sources == {"a": Path("/home/me/a.safetensors"), "b": Path.cwd() / "~/b"}
    with pytest.raises(ConfigurationError, match=r"MODELS is invalid: .* unknown user"):
        Settings.from_env({"LATENTRY_MODELS": "a=~nobody-of-this-name/it"})


def test_what_is_set_to_its_default_stays_set_on_the_way_to_a_child_process() -> None:
    settings = Settings.from_env({"LATENTRY_METRICS_PORT": "9100"})
    child = Settings.from_env(settings.to_env())
    assert "metrics_port" in child.model_fields_set
    assert "worker_metrics_port" not in child.model_fields_set


def test_several_models_may_have_any_paths() -> None:
    settings = Settings.from_env({"LATENTRY_MODELS": "a = x y, b.1_-=C:/p=q,"})
    assert settings.model_sources == {"a": Path("x y"), "b.1_-": Path("C:/p=q")}


def test_what_has_no_id_is_a_folder_of_models(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = Settings.from_env({"LATENTRY_MODELS": "/srv/models, a=x,~/more,"})
    assert settings.model_folders == (Path("/srv/models"), Path("/home/me/more"))
    assert settings.model_sources == {"a": Path("x")}
    assert Settings().model_folders == ()


def test_a_model_may_be_a_commit_on_a_hub() -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    text = f"a=owner/some-name.v1@{commit},b=./owner/name@{commit},c=/x/owner/name@main"
    assert Settings(models=text).model_sources == {
        "a": HubPin("owner/some-name.v1", commit),
        "b": Path(f"owner/name@{commit}"),
        "c": Path("/x/owner/name@main"),
    }


@pytest.mark.parametrize(
    ("host", "url"), [("::1", "http://[::1]:8000"), ("::", "http://[::1]:8000")]
)
def test_an_ipv6_address_is_in_brackets(host: str, url: str) -> None:
    assert Settings.from_env({"LATENTRY_HOST": host}).base_url == url


def test_the_wildcard_address_is_not_given_to_clients() -> None:
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


def test_a_simulation_has_the_times_of_its_calls() -> None:
    source = Settings(models="a=simulated:call_ms=2:row_ms=0.5").model_sources["a"]
    assert source == Simulation(call_ms=2, row_ms=0.5)
    assert Settings(models="a=simulated:").model_sources["a"] == Simulation()


@pytest.mark.parametrize("said", ["call_ms", "call_ms=0", "row_ms=-1", "call_ms=nan", "calls=1"])
def test_an_invalid_simulation_is_refused_with_what_is_valid(said: str) -> None:
    with pytest.raises(ConfigurationError, match="number"):
        Settings.from_env({"LATENTRY_MODELS": f"a=simulated:{said}"})


def test_simulated_and_real_models_may_be_named_together() -> None:
    settings = Settings.from_env({"LATENTRY_MODELS": "a=simulated:,b=models/shapes"})
    assert settings.model_sources == {"a": Simulation(), "b": Path("models/shapes")}


@pytest.mark.parametrize(
    ("given", "folders"),
    [
        ({}, ["models/adapters"]),
        ({"MODELS": "mine=models/shapes,a=simulated:"}, ["models/adapters"]),
        ({"MODELS": "a=simulated:"}, []),
        ({"MODELS": "shapes=/srv/models/shapes"}, []),
        ({"ADAPTERS": ""}, []),
        ({"ADAPTERS": "/srv/loras"}, ["/srv/loras"]),
    ],
)
def test_the_bundled_adapters_come_with_the_bundled_model(
    given: dict[str, str], folders: list[str]
) -> None:
    settings = Settings.from_env({f"LATENTRY_{name}": value for name, value in given.items()})
    assert [str(source.path) for source in settings.adapter_sources] == folders


def test_the_bundled_model_may_be_there_without_its_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({}).adapter_sources == ()
