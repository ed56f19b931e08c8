"""The TypeScript SDK is of this API, this version and this licence. Needs no Node."""

import json

from latentry import __version__
from tools.pages.native_api import native_part, operations
from tools.pages.openapi import PAGE
from tools.pages.typescript import GENERATED, HASH, PACKAGE, digest

NATIVE = native_part(json.loads(PAGE.read_text()))


def test_the_generated_code_is_of_this_api() -> None:
    assert HASH.read_text().strip() == digest(NATIVE), "the API changed: run `make sdk-ts`"


def test_every_operation_of_the_native_door_and_no_other_is_a_function() -> None:
    code = (GENERATED / "sdk.gen.ts").read_text()
    for operation in operations(NATIVE):
        first, *rest = operation.split("_")
        assert f"export const {first}{''.join(map(str.title, rest))} = " in code
    assert code.count("export const ") == len(operations(NATIVE))


def test_the_package_has_the_version_and_the_licence_of_the_project() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    assert package["version"] == lock["version"] == __version__
    assert package["license"] == "Apache-2.0"
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE.parents[1] / "LICENSE").read_bytes()
    # Whoever installs it installs nothing else.
    assert "dependencies" not in package
    assert all(version[0].isdigit() for version in package["devDependencies"].values())
