"""The files that describe a deployment, read as data."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy/kubernetes/base"


@dataclass(frozen=True)
class Stage:
    """One FROM of the Dockerfile with what follows it: `(word, arguments)` pairs."""

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        return [arguments for step, arguments in self.steps if step == word]

    @property
    def env(self) -> dict[str, str]:
        pairs = (pair for line in self.all("ENV") for pair in shlex.split(line))
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def entrypoint(self) -> list[str]:
        (line,) = self.all("ENTRYPOINT")
        return list(json.loads(line))

    @property
    def ports(self) -> set[int]:
        return {int(port) for line in self.all("EXPOSE") for port in line.split()}


def dockerfile() -> dict[str, Stage]:
    """Its stages by name."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    stages: dict[str, Stage] = {}
    for word, arguments in lines:
        if word == "FROM":
            image, _, name = arguments.partition(" AS ")
            stages[name] = stage = Stage(name, image, ())
        else:
            stage = Stage(stage.name, stage.image, (*stage.steps, (word, arguments.strip())))
            stages[stage.name] = stage
    return stages


def lineage(stage: Stage) -> list[Stage]:
    """A stage and all it is made from, the oldest first."""
    stages = dockerfile()
    return [*(lineage(stages[stage.image]) if stage.image in stages else []), stage]


def compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    """A Compose file as an empty environment leaves it: every `${NAME:-default}` its default."""
    text = (ROOT / name).read_text()
    return dict(yaml.safe_load(re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", text)))


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    """Every object of the Kubernetes base by kind and name."""
    documents = (
        doc for file in BASE.glob("*.yaml") for doc in yaml.safe_load_all(file.read_text())
    )
    return {(doc["kind"], doc["metadata"]["name"]): doc for doc in documents if "metadata" in doc}


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """The pod of a Deployment or a StatefulSet."""
    return dict(manifest["spec"]["template"]["spec"])


def settings_env() -> dict[str, str]:
    """The ConfigMap that the manifests share."""
    lines = (BASE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
