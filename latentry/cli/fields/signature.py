"""Options of a command that are fields of a request, as typer reads them from a signature."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel
from typer.models import OptionInfo

Command = TypeVar("Command", bound=Callable[..., None])
Groups = Mapping[str, type]
"""Options by the heading under which --help has them: each group lists its own in a TypedDict."""


def with_options(
    command: Command,
    groups: Groups,
    model: type[BaseModel],
    *,
    without: frozenset[str] = frozenset(),
) -> Command:
    """Replace a command's `**options` by those of the groups.

    Help is the description of the model's field, unless the option has its own.
    """
    own = inspect.signature(command)
    kinds: dict[Any, list[inspect.Parameter]] = {}
    for parameter in own.parameters.values():
        kinds.setdefault(parameter.kind, []).append(parameter)
    added = (
        parameter
        for heading, options in groups.items()
        for parameter in _parameters(heading, options, model, without)
    )
    parameters = (
        *kinds[inspect.Parameter.POSITIONAL_OR_KEYWORD],
        *added,
        *kinds[inspect.Parameter.KEYWORD_ONLY],
    )
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _parameters(
    heading: str, options: type, model: type[BaseModel], without: frozenset[str]
) -> Iterator[inspect.Parameter]:
    for name, hint in get_type_hints(options, include_extras=True).items():
        if name in without:
            continue
        kind, given = get_args(hint) if get_origin(hint) is Annotated else (hint, typer.Option())
        assert isinstance(given, OptionInfo)
        option = copy(given)  # commands share groups, and each has a model of its own
        option.help = option.help or model.model_fields[name].description
        option.rich_help_panel = heading
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if kind is bool else None,
            annotation=Annotated[kind, option],
        )
