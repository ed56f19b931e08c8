"""`latentry models`, `adapters`, `upscalers` and `styles`: what requests may name."""

from collections.abc import Iterable
from typing import Annotated

import typer
from pydantic import BaseModel
from rich import filesize

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.tables import add, show, table
from latentry.contracts import AdapterKind

AsJson = Annotated[bool, typer.Option("--json", help="Print each as JSON, one a line.")]


def models(*, as_json: AsJson = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the models of the service."""
    with connect(url, api_key) as client:
        found = client.models().data
    if as_json:
        return _as_json(found)
    rows = table("model", "size", "steps", "guidance", "samplers", "workers")
    for model in found:
        own = model.defaults
        size, steps = f"{own.width}×{own.height}", str(own.num_inference_steps)
        samplers, workers = ", ".join(model.samplers), str(model.workers)
        add(rows, model.id, size, steps, f"{own.guidance_scale:g}", samplers, workers)
    show(rows)
    _warn((model.id, warning) for model in found for warning in model.warnings)
    return None


def upscalers(*, as_json: AsJson = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the upscalers of the service."""
    with connect(url, api_key) as client:
        found = client.upscalers().data
    if as_json:
        return _as_json(found)
    rows = table("upscaler", "architecture", "scale", "workers")
    for one in found:
        add(rows, one.id, one.architecture, f"{one.scale:g}", str(one.workers))
    show(rows)
    _warn((one.id, warning) for one in found for warning in one.warnings)
    return None


def adapters(
    kind: Annotated[AdapterKind | None, typer.Option(help="Only adapters of this kind.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="Only adapters that fit this model.")
    ] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """List the adapters of the service: LoRAs, embeddings, ControlNets and others."""
    with connect(url, api_key) as client:
        every = client.adapters().data
    found = [one for one in every if kind in (None, one.kind) and model in (None, *one.models)]
    if as_json:
        return _as_json(found)
    names = ("adapter", "kind", "family", "models", "rank or vectors", "size", "trigger words")
    rows = table(*names)
    for one in found:
        size, words = filesize.decimal(one.size_bytes), ", ".join(one.trigger_words)
        fits, counted = ", ".join(one.models), str(one.vectors or one.rank or "")
        add(rows, one.id, one.kind.value, one.family, fits, counted, size, words)
    show(rows)
    _warn((one.id, one.reason) for one in found if one.reason)
    for one in found:
        if known := one.suggests:
            options = f"--sampler {known.sampler} --spacing {known.spacing}"
            options += f" --steps {known.num_inference_steps} --guidance {known.guidance_scale:g}"
            typer.echo(f"{one.id} is for few steps: {options}", err=True)
    return None


def styles(*, as_json: AsJson = False, url: Url = DEFAULT_URL, api_key: ApiKey = None) -> None:
    """List the styles of the service."""
    with connect(url, api_key) as client:
        found = client.styles().data
    if as_json:
        return _as_json(found)
    rows = table("style", "prompt", "negative prompt")
    for style in found:
        add(rows, style.name, style.prompt, style.negative_prompt)
    return show(rows)


def _as_json(found: Iterable[BaseModel]) -> None:
    for one in found:
        typer.echo(one.model_dump_json())


def _warn(warnings: Iterable[tuple[str, str]]) -> None:
    for name, warning in warnings:
        typer.echo(f"{name}: {warning}", err=True)
