"""The Compose file against the Dockerfile, the settings and its own promises."""

import pytest

from latentry import __version__
from latentry.addresses import is_loopback
from latentry.settings import PREFIX, Settings
from tests.deploy.files import compose, dockerfile, lineage

SERVICES = compose()["services"]
OURS = ["gateway", "worker"]


def _settings(service: dict) -> Settings:
    env = {name: str(value) for name, value in service["environment"].items()}
    return Settings.from_env(env)


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_built_from_targets_that_exist_under_this_version(name: str) -> None:
    service = SERVICES[name]
    assert service["build"]["target"] in dockerfile()
    assert service["image"] == f"latentry-{name}:{__version__}"
    args = service["build"].get("args", {})
    declared = {line.split("=")[0] for stage in dockerfile().values() for line in stage.all("ARG")}
    assert set(args) <= declared


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_tag(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert tag
    assert tag != "latest"


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    settings = _settings(SERVICES[name])
    assert settings.redis_url.get_secret_value() == "redis://valkey:6379/0"
    assert settings.s3_endpoint == "http://storage:9000"
    assert len(settings.s3_access_key.get_secret_value()) >= 7, "rclone refuses shorter ones"


def test_gateway_and_worker_share_one_store() -> None:
    gateway, worker = (_settings(SERVICES[name]) for name in OURS)
    shared = ("redis_url", "redis_prefix", "storage_url", "s3_access_key", "s3_secret_key")
    assert all(getattr(gateway, name) == getattr(worker, name) for name in shared)


def test_links_name_the_published_port() -> None:
    settings = _settings(SERVICES["gateway"])
    assert SERVICES["gateway"]["ports"] == ["127.0.0.1:8000:8000"]
    assert settings.base_url == "http://127.0.0.1:8000"
    assert SERVICES["storage"]["ports"] == ["127.0.0.1:9000:9000"]
    assert settings.s3_public_endpoint == "http://127.0.0.1:9000"


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]


def test_valkey_and_workers_cannot_be_reached_from_outside() -> None:
    assert compose()["networks"]["back"] == {"internal": True}
    assert SERVICES["valkey"]["networks"] == SERVICES["worker"]["networks"] == ["back"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_their_dependencies(name: str) -> None:
    for other, how in SERVICES[name]["depends_on"].items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
    assert set(SERVICES[name]["depends_on"]) == {"valkey", "bucket"}


def test_the_gpu_variant_changes_only_the_worker() -> None:
    variant = compose("deploy/gpu.compose.yml")["services"]
    assert list(variant) == ["worker"]
    (device,) = variant["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert all(name.startswith(PREFIX) for name in variant["worker"]["environment"])
    assert _settings(variant["worker"]).device == "cuda"


def test_the_gateway_gets_its_first_key_from_the_environment_and_has_no_default() -> None:
    env = SERVICES["gateway"]["environment"]
    assert env["LATENTRY_BOOTSTRAP_KEY"] in ("", None)
    assert "LATENTRY_BOOTSTRAP_KEY" not in SERVICES["worker"]["environment"]
    image = {k: v for stage in lineage(dockerfile()["gateway"]) for k, v in stage.env.items()}
    settings = Settings.from_env(image | {"LATENTRY_BOOTSTRAP_KEY": ""})
    assert settings.auth == "auto"
    assert not is_loopback(settings.host), "so it asks for keys, and does not start without one"
