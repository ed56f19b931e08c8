"""`latentry files` against a stub of the gateway, over real connections."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from latentry.contracts import File, FileList
from tests.latentry.cli.test_cli import _send, latentry
from tests.latentry.client.conftest import problem
from tests.latentry.client.stub import answer, serving

__all__ = ["latentry"]


def file(number: int) -> File:
    now = datetime.now(UTC)
    left = timedelta(hours=5, minutes=10, seconds=30)
    return File(
        id=f"file_{number}", bytes=1500, width=40, height=24, content_type="image/png",
        sha256="0" * 64, created_at=now, expires_at=now + left,
    )  # fmt: skip


class Shelf:
    """Two pages of files."""

    def __init__(self):
        self.uploaded, self.deleted = [], []

    async def __call__(self, scope, receive, send):
        match scope["method"], scope["path"]:
            case "POST", "/v1/files":
                self.uploaded.append((await receive())["body"])
                await _send(send, file(len(self.uploaded)), 201)
            case "GET", "/v1/files":
                is_second = b"cursor=c2" in scope["query_string"]
                number, more = (2, None) if is_second else (1, "c2")
                await _send(send, FileList(data=[file(number)], next_cursor=more))
            case "GET", "/v1/files/file_1/content":
                await answer(send, 200, "image/png", b"picture")
            case "DELETE", "/v1/files/file_1":
                self.deleted.append("file_1")
                await answer(send, 204, "text/plain")
            case _:
                refusal = problem(404, "file_not_found")
                await answer(send, 404, "application/problem+json", refusal.content)


@pytest.fixture
def shelf(monkeypatch):
    stub = Shelf()
    with serving(stub) as url:
        monkeypatch.setenv("LATENTRY_URL", url)
        yield stub


def test_pictures_are_uploaded_listed_read_and_deleted(latentry, shelf, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    assert latentry("files", "upload", "a.png", "b.png")[:2] == (
        0, "file_1  a.png\nfile_2  b.png\n",
    )  # fmt: skip
    assert shelf.uploaded == [b"a", b"b"]
    code, out, _ = latentry("files", "list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["file_1", "40×24"], ["file_2", "40×24"]]
    assert rows[0][4:9] == ["5", "h", "10", "min", "none"]
    assert json.loads(latentry("files", "list", "-n", "1", "--json")[1])["id"] == "file_1"
    assert latentry("files", "get", "file_1", "-o", "c.png")[:2] == (0, "c.png\n")
    assert (tmp_path / "c.png").read_bytes() == b"picture"
    assert latentry("files", "delete", "file_1")[:2] == (0, "File file_1 is deleted.\n")
    assert shelf.deleted == ["file_1"]


def test_what_is_not_there_is_said(latentry, shelf) -> None:
    assert latentry("files", "get", "../v1/usage")[0] == 1


@pytest.mark.parametrize("encoding", ["ascii", "koi8-r"])
def test_a_terminal_without_utf_8_is_told_all_the_same(shelf, encoding) -> None:
    command = [sys.executable, "-m", "latentry", "files", "list"]
    env = os.environ | {"PYTHONIOENCODING": encoding}
    ours, theirs = os.openpty()
    with open(ours, "rb") as shown:
        subprocess.run(command, env=env, stdout=theirs, check=True)
        os.close(theirs)
        shown.readline()
        assert b"40?24" in shown.readline()


@pytest.mark.parametrize("encoding", ["ascii", "koi8-r"])
def test_a_pipe_without_utf_8_loses_no_character(shelf, encoding) -> None:
    command = [sys.executable, "-m", "latentry", "files", "list"]
    env = os.environ | {"PYTHONIOENCODING": encoding}
    ended = subprocess.run(command, env=env, capture_output=True, check=True)
    assert rb"40\u00d724" in ended.stdout
    text = "×, \N{FROG FACE}"
    assert json.loads(f'"{text}"'.encode(encoding, "latentry.escaped")) == text


def test_a_file_that_cannot_be_written_is_one_sentence(latentry, shelf) -> None:
    long = "a" * 300
    said = f"latentry: {long}: File name too long\n"
    assert latentry("files", "get", "file_1", "-o", long) == (1, "", said)


def test_a_file_is_one_line_of_80_columns(latentry, shelf, monkeypatch) -> None:
    long = {"id": "file_" + "0123456789abcdef" * 2, "width": 4096, "height": 4096, "bytes": 998_900}
    monkeypatch.setattr(
        f"{__name__}.file", lambda number, own=file: own(number).model_copy(update=long)
    )
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, without escapes
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    head, *rows = latentry("files", "list")[1].splitlines()
    assert head.split() == ["file", "size", "bytes", "expires", "in"]
    assert [row.split()[:2] for row in rows] == [[long["id"], "4096×4096"]] * 2
    assert max(map(len, rows)) <= 80
