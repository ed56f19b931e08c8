"""Options of a command that are fields of a request, as typer reads them from a signature."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel
from rich.markup import escape
from typer.models import OptionInfo

Command = TypeVar("Command", bound=Callable[..., None])


def hints_of(options: type) -> dict[str, Any]:
    """The options that a TypedDict lists, with typer's annotations."""
    return get_type_hints(options, include_extras=True)


def with_options(command: Command, hints: Mapping[str, Any], model: type[BaseModel]) -> Command:
    """Replace a command's `**options` by these.

    Help is the description of the model's field, unless the option has its own.
    """
    own = inspect.signature(command)
    kinds: dict[Any, list[inspect.Parameter]] = {}
    for parameter in own.parameters.values():
        kinds.setdefault(parameter.kind, []).append(parameter)
    parameters = (
        *kinds[inspect.Parameter.POSITIONAL_OR_KEYWORD],
        *(_parameter(name, hint, model) for name, hint in hints.items()),
        *kinds[inspect.Parameter.KEYWORD_ONLY],
    )
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _parameter(name: str, hint: Any, model: type[BaseModel]) -> inspect.Parameter:
    kind, option = get_args(hint) if get_origin(hint) is Annotated else (hint, typer.Option())
    assert isinstance(option, OptionInfo)
    if option.help is None:
        # Rich would read `[word]` as markup.
        option.help = escape(model.model_fields[name].description or "")
    default = False if kind is bool else None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )
