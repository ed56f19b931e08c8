"""Pages of help: options under headings, each with its sentence beside or below it.

Two columns without borders, as most programs have them: at 80 columns, tables with a column for
types leave a third of the line to the sentences.
"""

import re
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

_COMMON: Final = "Options"


class Command(TyperCommand):
    """A command whose options are grouped by their help panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each group of options, in the order in which they are declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            panel = getattr(param, "rich_help_panel", None) or _COMMON
            if param.param_type_name == "argument":
                panel, record = "Arguments", (record[0].partition(" <")[0], record[1])
            sections.setdefault(panel, []).append(record)
        if _COMMON in sections:  # --help and what all commands have come last
            sections[_COMMON] = sections.pop(_COMMON)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What is required has no brackets of its own, as other programs write it."""
        return [re.sub(r"\{(\w+)\}", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


class Group(TyperGroup):
    """Commands in the order in which they were added, under their own headings."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each group of commands with the first sentence of each."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(panel, []).append((name, _first_sentence(command.help or "")))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def app(**options: Any) -> typer.Typer:
    """An empty group of commands whose help is written so."""
    return typer.Typer(
        cls=Group,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        **options,
    )


def _first_sentence(text: str) -> str:
    first = " ".join(text.partition("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".") + "."
