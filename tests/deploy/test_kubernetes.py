"""The manifests against the Dockerfile, the settings and the standard they claim to meet."""

from typing import Any

import pytest
import yaml

from latentry import __version__
from latentry.settings import Settings
from tests.deploy.files import BASE, compose, dockerfile, manifests, pod, settings_env

ALL = manifests()
GATEWAY, WORKER = ALL["Deployment", "gateway"], ALL["Deployment", "worker"]
VALKEY = ALL["StatefulSet", "valkey"]
OURS = {"gateway": GATEWAY, "worker": WORKER}
PODS = {**OURS, "valkey": VALKEY}


def _container(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod(manifest)["containers"]
    return container


def _env(manifest: dict[str, Any]) -> dict[str, str]:
    own = _container(manifest)["env"]
    return settings_env() | {entry["name"]: entry.get("value", "secret") for entry in own}


def test_every_file_is_listed_but_the_secret() -> None:
    listed = set(yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"])
    files = {file.name for file in BASE.glob("*.yaml")}
    assert files - listed == {"kustomization.yaml", "secret.example.yaml"}
    assert listed < files


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_targets_under_this_version(name: str) -> None:
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    assert _container(OURS[name])["image"] == f"latentry-{name}"
    assert {"name": f"latentry-{name}", "newTag": __version__} in kustomization["images"]
    assert name in dockerfile()


def test_valkey_is_the_same_as_in_compose() -> None:
    service = compose()["services"]["valkey"]
    assert _container(VALKEY)["image"] == service["image"]
    assert _container(VALKEY)["args"][: len(service["command"])] == service["command"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    settings = Settings.from_env(_env(OURS[name]))
    assert settings.storage_url.startswith("s3://")
    assert "@valkey:6379/" in settings.redis_url.get_secret_value()
    assert ALL["Service", "valkey"]["spec"]["ports"][0]["port"] == 6379


def test_a_worker_has_a_thread_for_each_cpu_that_it_requests() -> None:
    requested = _container(OURS["worker"])["resources"]["requests"]["cpu"]
    assert _env(OURS["worker"])["LATENTRY_THREADS"] == requested


@pytest.mark.parametrize("name", PODS)
def test_no_service_adds_variables_of_its_own(name: str) -> None:
    assert pod(PODS[name])["enableServiceLinks"] is False


@pytest.mark.parametrize("name", PODS)
def test_every_secret_is_in_the_example_and_empty_there(name: str) -> None:
    example = ALL["Secret", "latentry"]["stringData"]
    refs = [entry["valueFrom"]["secretKeyRef"] for entry in _container(PODS[name])["env"]
            if "valueFrom" in entry]  # fmt: skip
    assert refs
    assert all(ref["name"] == "latentry" and example[ref["key"]] == "" for ref in refs)


@pytest.mark.parametrize("name", OURS)
def test_ports_are_those_the_images_open(name: str) -> None:
    ports = {port["containerPort"] for port in _container(OURS[name])["ports"]}
    assert ports == dockerfile()[name].ports


def test_the_gateway_is_probed_where_it_answers() -> None:
    container = _container(GATEWAY)
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_the_gateway_is_for_the_cluster_only() -> None:
    service = ALL["Service", "gateway"]["spec"]
    assert "type" not in service, "ClusterIP"
    assert service["selector"] == GATEWAY["spec"]["selector"]["matchLabels"]
    assert not [kind for kind, _ in ALL if kind == "Ingress"]


@pytest.mark.parametrize("name", PODS)
def test_pods_meet_the_restricted_standard(name: str) -> None:
    spec, container = pod(PODS[name]), _container(PODS[name])
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", OURS)
def test_pods_run_as_the_user_of_the_image_and_may_write_its_data(name: str) -> None:
    context = pod(OURS[name])["securityContext"]
    user = f"{context['runAsUser']}:{context['runAsGroup']}"
    assert dockerfile()[name].all("USER") == [user]
    mounts = {mount["mountPath"] for mount in _container(OURS[name])["volumeMounts"]}
    assert mounts == {"/tmp", dockerfile()["base"].env["LATENTRY_DATA_DIR"]}


def test_the_storage_variant_is_the_server_of_compose_with_keys_from_the_secret() -> None:
    folder = BASE.parent / "storage"
    variant = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert variant["resources"] == ["../base", "storage.yaml"]
    (merged,) = variant["configMapGenerator"]
    variables = dict(pair.split("=", 1) for pair in merged["literals"])
    bucket = Settings.from_env(variables).storage_url.removeprefix("s3://")
    service, server = yaml.safe_load_all((folder / "storage.yaml").read_text())
    (container,), (bucket_maker,) = pod(server)["containers"], pod(server)["initContainers"]
    theirs = compose()["services"]["storage"]
    assert container["image"] == bucket_maker["image"] == theirs["image"]
    assert container["args"][:4] == theirs["command"][:4]
    assert f"/data/{bucket}" in bucket_maker["args"]
    assert variables["LATENTRY_S3_ENDPOINT"] == f"http://{service['metadata']['name']}:9000"
    keys = {entry["valueFrom"]["secretKeyRef"]["key"] for entry in container["env"][:2]}
    assert keys <= ALL["Secret", "latentry"]["stringData"].keys()


def test_the_gpu_variant_asks_for_one() -> None:
    variant = yaml.safe_load((BASE.parent / "gpu/kustomization.yaml").read_text())
    (patch,) = (yaml.safe_load(entry["patch"]) for entry in variant["patches"])
    assert variant["resources"] == ["../base"]
    assert patch["metadata"]["name"] == "worker"
    container = _container(patch)
    assert container["name"] == _container(WORKER)["name"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert Settings.from_env(_env(patch)).device == "cuda"
