"""The TypeScript SDK as somebody installs it: packed, type-checked, against the running service."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.processes import Stack
from tools.pages.typescript import PACKAGE

PROGRAM = Path(__file__).with_name("typescript.mjs")
MODULES = PACKAGE / "node_modules"
pytestmark = pytest.mark.skipif(
    not (MODULES / ".bin" / "tsc").exists() or shutil.which("npm") is None,
    reason="the TypeScript SDK is not set up: install Node 20.3 or later, then"
    " `npm ci --prefix sdk/typescript`",
)


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's sources, which is built elsewhere than in the working tree."""
    copy = tmp_path_factory.mktemp("sdk") / "typescript"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "node_modules").symlink_to(MODULES)
    return copy


@pytest.fixture(scope="module")
def project(checkout: Path) -> Path:
    """A project of somebody else's in which the packed package is installed, without a network."""
    [packed] = json.loads(run("npm", "pack", "--json", cwd=checkout))
    folder = checkout.parent / "project"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "shop", "private": true, "type": "module"}')
    tarball = checkout / packed["filename"]
    run("npm", "install", "--offline", "--no-audit", "--no-fund", tarball, cwd=folder)
    return folder


def test_its_own_tests_pass(checkout: Path, project: Path) -> None:
    assert "# fail 0" in run("node", "--test", "--test-reporter=tap", "tests/", cwd=checkout)


def test_it_packs_what_it_is_made_of_and_nothing_else(checkout: Path, project: Path) -> None:
    [packed] = checkout.glob("*.tgz")
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    others = {name for name in names if not re.fullmatch(r"dist/.+\.(js|d\.ts)", name)}
    assert others == {"package.json", "README.md", "LICENSE"}
    assert {"dist/index.js", "dist/index.d.ts"} <= names


def test_a_program_that_uses_it_runs_against_the_service(project: Path, stack: Stack) -> None:
    shutil.copy(PROGRAM, project)
    assert run("node", PROGRAM.name, stack.url, cwd=project) == "done\n"


def test_the_examples_of_its_readme_are_typed_and_run(project: Path, stack: Stack) -> None:
    readme = (PACKAGE / "README.md").read_text()
    found = re.findall(r"^```ts\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    examples = [one for one in found if 'from "undici"' not in one]  # which is not installed here
    assert len(examples) == len(found) - 1
    for number, example in enumerate(examples):
        # Each goes on from the first one, unless it makes its own client.
        first = "" if "new Latentry" in example else 'import { Latentry } from "latentry";\n'
        first += "" if "new Latentry" in example else "const latentry = new Latentry();\n"
        url = f'new Latentry({{ baseUrl: "{stack.url}" }})'
        code = re.sub(r"new Latentry\(.*?\);", f"{url};", first + example)
        (project / f"example{number}.mts").write_text(code)
    types = [
        *("--module", "nodenext", "--target", "es2022", "--strict"),
        *("--noUncheckedIndexedAccess", "false", "--types", "node"),
        *("--typeRoots", MODULES / "@types"),
    ]
    files = sorted(project.glob("example*.mts"))
    run(MODULES / ".bin" / "tsc", *types, *files, cwd=project)
    for file in files:
        run("node", file.with_suffix(".mjs"), cwd=project)
    assert (project / "star.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ('latentry.generate({ prompt: "a", steps: 3 })', "'steps' does not exist"),
        ('latentry.generate({ prompt: "a", sampler: "fast" })', "'\"fast\"' is not assignable"),
        ("latentry.download(3)", "'number' is not assignable"),
    ],
)
def test_a_type_checker_names_mistakes(project: Path, wrong: str, error: str) -> None:
    code = f'import {{ Latentry }} from "latentry";\nconst latentry = new Latentry();\n{wrong};\n'
    (project / "wrong.mts").write_text(code)
    checked = subprocess.run(
        [MODULES / ".bin" / "tsc", "--noEmit", "--strict", "--module", "nodenext", "wrong.mts"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert error in checked.stdout
