"""What a linter for images would ask, and what only this repository can."""

import pytest

from latentry.settings import Settings
from tests.deploy.files import ROOT, dockerfile, lineage

STAGES = dockerfile()
IMAGES = ["gateway", "worker"]


def _copied() -> list[str]:
    lines = (line.split() for stage in STAGES.values() for line in stage.all("COPY"))
    return [source for line in lines if not line[0].startswith("--from") for source in line[:-1]]


def _allowed() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_every_image_it_starts_from_is_a_stage_or_has_a_tag(stage) -> None:
    name, _, tag = stage.image.partition(":")
    assert name in STAGES or (tag and tag != "latest")


@pytest.mark.parametrize("name", IMAGES)
def test_the_process_is_not_root(name: str) -> None:
    words = [word for word, _ in STAGES[name].steps]
    assert words.index("USER") < words.index("ENTRYPOINT")
    uid, _, gid = STAGES[name].all("USER")[-1].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_nothing_is_fetched_past_the_package_installer() -> None:
    assert not [stage for stage in STAGES.values() if stage.all("ADD")]
    fetching = [line for stage in STAGES.values() for line in stage.all("RUN") if "://" in line]
    assert not fetching


@pytest.mark.parametrize("source", _copied())
def test_what_is_copied_exists_and_reaches_the_builder(source: str) -> None:
    assert (ROOT / source).exists()
    assert any(source == name or source.startswith(f"{name}/") for name in _allowed())


def test_the_builder_gets_nothing_else() -> None:
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert all(any(source.startswith(name) for source in _copied()) for name in _allowed())


@pytest.mark.parametrize("name", IMAGES)
def test_the_start_command_is_a_module_of_the_image(name: str) -> None:
    python, dash_m, module = STAGES[name].entrypoint
    assert (python, dash_m) == ("python", "-m")
    assert (ROOT / module / "__main__.py").exists()
    assert f"{module} {module}" in STAGES[name].all("COPY")


def test_only_the_worker_gets_torch_and_a_model() -> None:
    gateway = [line for stage in lineage(STAGES["gateway-venv"]) for line in stage.all("RUN")]
    worker = [line for stage in lineage(STAGES["worker-venv"]) for line in stage.all("RUN")]
    assert any("'.[cli,server]'" in line for line in gateway)
    assert not any("torch" in line or "worker" in line for line in gateway)
    assert any("'.[server,worker,video,safety]'" in line for line in worker)
    assert STAGES["gateway"].all("COPY") == ["--from=gateway-venv /venv /venv", "service service"]
    for bundled in ("models/shapes", "models/adapters"):
        assert f"{bundled} {bundled}" in STAGES["worker"].all("COPY")


@pytest.mark.parametrize(
    ("name", "ports"),
    [("gateway", {"port", "metrics_port"}), ("worker", {"worker_metrics_port"})],
)
def test_environment_and_ports_are_those_of_the_settings(name: str, ports: set[str]) -> None:
    env = {key: value for stage in lineage(STAGES[name]) for key, value in stage.env.items()}
    settings = Settings.from_env(env)
    assert STAGES[name].ports == {getattr(settings, port) for port in ports}


def test_the_health_check_uses_the_gateway_s_port() -> None:
    (check,) = STAGES["gateway"].all("HEALTHCHECK")
    assert "/livez" in check
    assert 'environ[\\"LATENTRY_PORT\\"]' in check
