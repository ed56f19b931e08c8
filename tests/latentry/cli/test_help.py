"""Every page of help: 80 columns, and a sentence for each option."""

import io
import re
import sys
from pathlib import Path

import pytest
import typer

from latentry.admin.app import app as admin
from latentry.cli.app import app
from latentry.cli.exits import Exit, exit_of
from latentry.client import Unreachable
from latentry.errors import ConfigurationError, FileNotFound, InvalidRequest, RateLimited

WIDTH = 80


def pages(group, path=("latentry",)):
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from pages(command, (*path, name))


# `keys` and `webhooks` of the first are passed on to the second.
FOUND = {
    " ".join(path): command
    for one in (app, admin)
    for path, command in pages(typer.main.get_command(one))
}


def printed(path: str, monkeypatch, capsys) -> str:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    words = path.split()[1:]
    of_admin = words[:1] in (["keys"], ["webhooks"])
    with pytest.raises(SystemExit) as ended:
        (admin if of_admin else app)([*words, "--help"], prog_name="latentry")
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("path", FOUND)
def test_a_page_fits_80_columns_and_cuts_nothing_off(path, monkeypatch, capsys) -> None:
    lines = printed(path, monkeypatch, capsys).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if line.rstrip().endswith(("…", "...")) and "--" in line]


@pytest.mark.parametrize(
    ("path", "usage"),
    [
        ("latentry files upload", "[OPTIONS] PATH..."),
        ("latentry edit", "[OPTIONS] PICTURE [PROMPT]"),
        ("latentry generate", "[OPTIONS] [PROMPT]..."),
        ("latentry cancel", "[OPTIONS] ID..."),
    ],
)
def test_a_usage_line_brackets_what_may_be_left_out_alone(path, usage, monkeypatch, capsys) -> None:
    assert printed(path, monkeypatch, capsys).splitlines()[0] == f"Usage: {path} {usage}"


@pytest.mark.parametrize("path", FOUND)
def test_all_that_a_page_lists_has_a_sentence(path) -> None:
    command = FOUND[path]
    assert command.help.partition("\n\n")[0].endswith("."), path
    without = [
        one.name
        for one in command.params
        if not re.search(r"\w.*[.…\]]$", (one.help or "").strip(), re.DOTALL)
    ]
    assert without == []


def test_options_are_under_headings_in_the_order_of_a_request(monkeypatch, capsys) -> None:
    out = printed("latentry generate", monkeypatch, capsys)
    headings = re.findall(r"^([A-Z].*):$", out, re.MULTILINE)
    assert headings == [
        *("Arguments", "Prompt", "Adapters", "Picture to start from", "Sampling", "Steps"),
        *("Files", "Job", "Options"),
    ]


def test_exit_codes_are_on_the_first_page(monkeypatch, capsys) -> None:
    out = printed("latentry", monkeypatch, capsys)
    assert [f"{code}" for code in Exit] == re.findall(r"\d+", out.rpartition("Exit codes:")[2])


def test_what_is_misspelt_is_named(monkeypatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with pytest.raises(SystemExit) as ended:
        app(["generate", "a frog", "--stepz", "5"], prog_name="latentry")
    assert ended.value.code == Exit.MISUSED
    assert "--stepz" in said.getvalue()


def test_the_page_about_the_command_line_has_every_command_and_exit_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    table = page.partition("\n\n`--url`")[0]
    named = {word for text in re.findall(r"`([^`]+)`", table) for word in text.split()[:1]}
    commands = set(typer.main.get_command(app).commands)
    assert commands - named == set()
    codes = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
    assert codes == [f"{code}" for code in Exit]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("n: too many"), Exit.MISUSED),
        (ConfigurationError("LATENTRY_PORT: no"), Exit.MISUSED),
        (Unreachable("away"), Exit.LATER),
        (RateLimited(retry_after_s=3), Exit.LATER),
        (FileNotFound(), Exit.FAILED),
        (OSError("disk full"), Exit.FAILED),
    ],
)
def test_an_exit_code_says_whether_to_try_again(error, code) -> None:
    assert exit_of(error) is code
