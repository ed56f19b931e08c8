"""`python -m tools.rules`: forbids the syntax that caused the CVEs of services like this one.

Five causes account for nearly all of them: unpickling, URLs that the server fetches, clients' text
in paths, error messages that disclose internals, and shells. The rules read syntax only: they catch
oversights, not deliberate evasion.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDERS: Final = ("latentry", "service", "worker")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line that breaks a rule."""

    file: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.what}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is forbidden, in which folders, and the files where it is allowed."""

    name: str
    forbids: Callable[[ast.AST], Iterator[tuple[ast.AST, str]]]
    folders: tuple[str, ...] = FOLDERS
    allowed_in: tuple[str, ...] = ()

    def concerns(self, file: str) -> bool:
        """Whether the rule applies to this file."""
        return file.startswith(self.folders) and not file.startswith(self.allowed_in or ("\0",))


def _uses(node: ast.AST, forbidden: frozenset[str]) -> Iterator[tuple[ast.AST, str]]:
    """Imports and uses of these dotted names, or of names below them."""
    match node:
        case ast.Import(names=names):
            mentioned = [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names):
            mentioned = [f"{module}.{alias.name}" for alias in names]
        case ast.Call(func=func):
            mentioned = [_dotted(func)]
        case _:
            return
    for name in mentioned:
        if any(name == bad or name.startswith(bad + ".") for bad in forbidden):
            yield node, name


def _dotted(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return ""


def _naming(names: str) -> Callable[[ast.AST], Iterator[tuple[ast.AST, str]]]:
    return lambda node: _uses(node, frozenset(names.split()))


def _allowing(*names: str) -> Callable[[ast.AST], Iterator[tuple[ast.AST, str]]]:
    """Calls with one of these keywords set to a true constant."""

    def found(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            is_true = isinstance(keyword.value, ast.Constant) and bool(keyword.value.value)
            if keyword.arg in names and is_true:
                yield node, f"{keyword.arg}=True"

    return found


def _exception_text(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """The text of a caught error, however it is read; only our own errors have a `message`."""
    if not (isinstance(node, ast.ExceptHandler) and node.name):
        return
    for part in (inner for line in node.body for inner in ast.walk(line)):
        match part:
            case (
                ast.FormattedValue(value=ast.Name(id=name))
                | ast.Attribute(value=ast.Name(id=name), attr="args" | "strerror" | "reason")
                | ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)])
                | ast.Call(func=ast.Attribute(attr="format"), args=[ast.Name(id=name)])
            ) if name == node.name:
                yield part, f"the text of `{name}`"


def _archives(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.Attribute) and node.attr in ("extractall", "unpack_archive"):
        yield node, node.attr


_RUNS_WHAT_IT_READS: Final = (
    "pickle cPickle _pickle marshal shelve dill joblib cloudpickle torch.load"
    " torch.hub torch.jit.load yaml.load yaml.unsafe_load yaml.full_load eval exec"
)
_CONNECTS: Final = (
    "httpx httpcore requests aiohttp urllib3 urllib.request http.client ftplib smtplib"
    " socket.create_connection asyncio.open_connection asyncio.open_unix_connection"
)
_OPENS_BY_NAME: Final = (
    "open os.open io.open os.path pathlib shutil glob tempfile starlette.responses.FileResponse"
    " fastapi.responses.FileResponse starlette.staticfiles fastapi.staticfiles"
)

RULES: Final = (
    Rule("no reader that can run what it reads", _naming(_RUNS_WHAT_IT_READS)),
    Rule("no code that comes with a model", _allowing("trust_remote_code", "allow_pickle")),
    Rule(
        "only the guarded client connects",
        _naming(_CONNECTS),
        # The fake service is the other side of a client, and connects to nothing.
        allowed_in=(
            "latentry/client/",
            "latentry/cli/",
            "latentry/serve/",
            "latentry/testing/",
            "service/outbound/",
        ),
    ),
    Rule(
        "the gateway opens no file by name",
        _naming(_OPENS_BY_NAME),
        folders=("service",),
        # The docs page's three files; the decoder's two unnamed ones; a key in a file; the
        # operator's styles and wildcards, in whose names no request has a say.
        allowed_in=(
            "service/doors/native/docs.py",
            "service/intake/decode.py",
            "service/access/opening.py",
            "service/templates/",
        ),
    ),
    Rule(
        "no response contains an exception's text",
        _exception_text,
        folders=("service",),
        # Both tell the operator: what does not start, and what is wrong with a file of rules.
        allowed_in=("service/__main__.py", "service/templates/rules.py"),
    ),
    Rule("no shell", _allowing("shell")),
    Rule("no shell by another name", _naming("os.system os.popen pty")),
    Rule("no archive is unpacked", _archives),
)


def findings(source: str, file: str) -> list[Finding]:
    """Every line of a file that breaks a rule."""
    tree = ast.parse(source)
    return [
        Finding(file, getattr(at, "lineno", 0), rule.name, what)
        for rule in RULES
        if rule.concerns(file)
        for node in ast.walk(tree)
        for at, what in rule.forbids(node)
    ]


def main(root: Path = Path(__file__).parents[1]) -> int:
    """Check every file and print the findings. Returns the exit status."""
    found = [
        finding
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*.py"))
        for finding in findings(path.read_text(), path.relative_to(root).as_posix())
    ]
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
