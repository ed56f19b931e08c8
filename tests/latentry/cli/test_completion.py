"""Completion in shells: their own programs ask, and the parser answers."""

import shutil
import subprocess
import sys

import pytest

BASH = """
export PATH={bin}:$PATH
eval "$(latentry completion bash)"
complete() {{
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _latentry_completion latentry
    echo "${{COMPREPLY[@]}}"
}}
{typed}
"""
TYPED = {
    "complete latentry gen": {"generate"},
    "complete latentry generate --sam": {"--sampler"},
    "complete latentry generate --determinism ''": {"fast", "strict"},
    "complete latentry files up": {"upload"},
}


def script(shell: str) -> str:
    command = [sys.executable, "-m", "latentry", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def answered(**variables: str) -> list[str]:
    """What the program answers to a shell's script."""
    ended = subprocess.run(
        [sys.executable, "-c", "from latentry.cli import main; main()"],
        env=variables,
        capture_output=True,
        text=True,
    )
    return ended.stdout.splitlines()


def test_bash_completes_commands_options_and_values(tmp_path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed.")
    (tmp_path / "latentry").write_text(f'#!/bin/sh\nexec {sys.executable} -m latentry "$@"\n')
    (tmp_path / "latentry").chmod(0o755)
    code = BASH.format(bin=tmp_path, typed="\n".join(TYPED))
    done = subprocess.run([bash, "-c", code], capture_output=True, text=True, check=True)
    assert [set(line.split()) for line in done.stdout.splitlines()] == list(TYPED.values())


def test_zsh_and_fish_are_answered_with_sentences() -> None:
    assert "compdef _latentry_completion latentry" in script("zsh")
    assert "complete --command latentry" in script("fish")
    asked = {"_TYPER_COMPLETE_ARGS": "latentry generate --see"}
    [zsh] = answered(_LATENTRY_COMPLETE="complete_zsh", **asked)
    assert '"--seed":"Seed of the first image' in zsh
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    [line] = answered(_LATENTRY_COMPLETE="complete_fish", **asked, **fish)
    assert line.startswith("--seed\tSeed of the first image")
