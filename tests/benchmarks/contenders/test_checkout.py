"""Another checkout is reached by its pipes and its port, and runs its own code."""

import sys
from pathlib import Path

import pytest

from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.contender import child
from benchmarks.contenders.service import running
from benchmarks.load.traces import Mix

WISH = Mix((2,)).first(1)[0]
CHILD = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"id": asked["id"], "verb": asked["do"], "kind": sys.argv[1], "folder": os.getcwd()}
    answer |= {"steps": asked.get("wish", {}).get("num_inference_steps")}
    print(json.dumps(answer), flush=True)
"""
SERVE = """
import http.server, json, os, sys
assert sys.argv[1:] == ["serve"]
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        body = json.dumps({"can_draw": Handler.asked > 2}).encode()
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
assert os.environ["LATENTRY_THREADS"] == "1"
assert "LATENTRY_REDIS_URL" not in os.environ
port = int(os.environ["LATENTRY_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def checkout(folder: Path, package: str, module: str, source: str) -> Checkout:
    """A tree with one module in it, and no environment of its own."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").touch()
    (folder / package / module).write_text(source)
    return Checkout.at(folder)


async def test_an_engine_runs_the_code_of_its_own_checkout(tmp_path: Path) -> None:
    other = checkout(tmp_path, "benchmarks", "child.py", CHILD)
    async with child("old", "engine", checkout=other) as engine:
        answer = dict(await engine.draw(WISH))
        assert answer == {
            "verb": "draw",
            "kind": "engine",
            "folder": str(other.root),
            "steps": 2,
        }


async def test_a_service_runs_the_code_of_its_own_checkout_until_the_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTRY_REDIS_URL", "redis://127.0.0.1:1/0")
    other = checkout(tmp_path / "tree", "latentry", "__main__.py", SERVE)
    async with running(tmp_path, other, LATENTRY_THREADS="1") as served:
        served.check()
        assert served.process.returncode is None
    assert served.process.returncode is not None


async def test_a_service_that_ends_at_once_says_why(tmp_path: Path) -> None:
    other = checkout(tmp_path / "tree", "latentry", "__main__.py", "raise SystemExit('no luck')")
    with pytest.raises(RuntimeError, match="no luck"):
        async with running(tmp_path, other):
            pass


def test_a_checkout_has_its_own_environment_or_ours(tmp_path: Path) -> None:
    assert Checkout.at(tmp_path).python == sys.executable
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert Checkout.at(tmp_path).python == str(own)


def test_a_checkout_says_what_it_is() -> None:
    assert "torch 2" in HERE.facts()
