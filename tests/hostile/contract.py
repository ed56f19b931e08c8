"""Schemathesis against a gateway: every route as its document tells, and stories of several."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latentry.client import Client
from tests.hostile.bodies import FILES
from tests.modes import pictures, png

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "tells_nothing_of_its_insides",
)
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended."""

    is_clean: bool
    cases: int
    said: str


def _files(url: str) -> list[str]:
    """Ids of files that requests may name."""
    with Client(url) as client:
        return [client.upload(png(one)).id for one in pictures(5).values()]


def run(
    url: str,
    *,
    examples: int,
    within_s: int,
    only: str = "",
    without: Sequence[str] = (),
    phases: str = "",
) -> Report:
    """Try every operation that the gateway's own document tells of.

    `only`: those whose path matches this. `without`: paths that are left out. `phases`: of
    Schemathesis' own, with commas; all if empty.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
        "--checks", ",".join(CHECKS), "--max-examples", str(examples), "--continue-on-failure",
        "--no-color", "--warnings", "off", "--request-timeout", "20",
        "--suppress-health-check", "all", "--generation-database", "none",
    ]  # fmt: skip
    command += ["--include-path-regex", only] if only else []
    command += [word for path in without for word in ("--exclude-path", path)]
    command += ["--phases", phases] if phases else []
    env = os.environ | {"SCHEMATHESIS_HOOKS": "tests.hostile.checks", FILES: " ".join(_files(url))}
    ended = subprocess.run(
        command, env=env, cwd=_ROOT, capture_output=True, text=True, timeout=within_s
    )
    counted = re.search(r"([\d,]+) generated", ended.stdout)
    cases = int(counted[1].replace(",", "")) if counted else 0
    return Report(ended.returncode == 0, cases, ended.stdout + ended.stderr)
