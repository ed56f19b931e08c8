"""What an image's code imports is what its extras install."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"latentry", "service", "worker"}


def _imported(pattern: str) -> set[str]:
    """Every module outside this repository and the standard library, by its first word."""
    names: set[str] = set()
    for file in ROOT.glob(pattern):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - OWN - sys.stdlib_module_names


def _installed(extras: list[str]) -> set[str]:
    """The distributions that `pip install '.[extras]'` brings, with all that they need."""
    texts = [*PROJECT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    found: set[str] = set()
    waiting = [Requirement(text) for text in texts]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        found |= {name, key}
        waiting += _needed(requirement)
    return found


def _needed(requirement: Requirement) -> Iterator[Requirement]:
    try:
        texts = requires(requirement.name) or []
    except PackageNotFoundError:
        return
    for needed in map(Requirement, texts):
        if needed.marker is None or any(
            needed.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
        ):
            yield needed


# Of [upscale] and, for gateways, [watermark]: what needs them says so where they are missing.
OPTIONAL = {"spandrel", "torchvision", "numpy"}
# Both images run all of latentry except its commands: the gateway's image has those too, to create
# keys where the ledger is. `latentry serve` and the fake service of tests run in neither.
COMMANDS = [f"latentry/{folder}/**/*.py" for folder in ("admin", "cli", "client")]
SHARED = [
    "latentry/*.py",
    *(
        f"latentry/{folder.name}/**/*.py"
        for folder in (ROOT / "latentry").iterdir()
        if folder.is_dir() and folder.name not in ("admin", "cli", "client", "serve", "testing")
    ),
]


@pytest.mark.parametrize(
    ("patterns", "extras"),
    [
        (["service/**/*.py", *COMMANDS, *SHARED], ["cli", "server"]),
        (["worker/**/*.py", *SHARED], ["server", "worker", "video", "safety"]),
    ],
    ids=["gateway", "worker"],
)
def test_every_import_is_installed(patterns: list[str], extras: list[str]) -> None:
    installed, owners = _installed(extras), packages_distributions()
    assert "obstore" in installed
    missing = {
        module
        for pattern in patterns
        for module in _imported(pattern)
        if not any(canonicalize_name(name) in installed for name in owners.get(module, []))
    }
    assert missing <= OPTIONAL


def test_the_gateway_gets_no_torch_indirectly() -> None:
    assert "torch" not in _installed(["cli", "server"])
    assert "torch" in _installed(["server", "worker"])
