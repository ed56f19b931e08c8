"""`latentry completion`: the shell asks this program, which completes what its parser knows."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]

VARIABLE = "_LATENTRY_COMPLETE"


class Shell(StrEnum):
    """Shells that can be completed in."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that you use.")],
) -> None:
    """Print the script that completes commands and options in a shell.

    \b
    bash: eval "$(latentry completion bash)" in ~/.bashrc
    zsh:  eval "$(latentry completion zsh)" in ~/.zshrc, after compinit
    fish: latentry completion fish > ~/.config/fish/completions/latentry.fish
    """
    script = get_completion_script(prog_name="latentry", complete_var=VARIABLE, shell=shell.value)
    typer.echo(script)
