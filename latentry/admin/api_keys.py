"""`latentry keys`. A key is shown once, alone on standard output; all else goes beside it."""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from latentry.admin import amounts
from latentry.admin.ledger import opened
from latentry.api_keys import ALL_SCOPES, DEFAULT_TENANT, ApiKey, Scope
from latentry.errors import NotFound
from latentry.ledger import keyring
from latentry.ledger.keyring import Allowance, KeyRecord

app = typer.Typer(
    help="Make, list, rotate and revoke API keys, straight at the ledger: LATENTRY_REDIS_URL, or"
    " that of the `latentry serve` which runs here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` tells it.")]
AsJson = Annotated[bool, typer.Option("--json", help="All of it as JSON on standard output.")]
USUAL_SCOPES = ",".join(sorted(ALL_SCOPES - {Scope.USAGE_OF_ALL}))


@app.command()
def new() -> None:
    """Print a key that stands nowhere yet, for LATENTRY_BOOTSTRAP_KEY."""
    typer.echo(ApiKey.new().text)


@app.command()
def create(
    tenant: Annotated[
        str, typer.Option(help="Whose it is.", parser=amounts.tenant)
    ] = DEFAULT_TENANT,
    name: Annotated[str, typer.Option(help="For you to know it by.")] = "",
    scopes: Annotated[
        Any, typer.Option(help="What it may do.", parser=amounts.scopes)
    ] = USUAL_SCOPES,
    expires: Annotated[
        Any, typer.Option(metavar="SPAN", help="Such as 90d; else never.", parser=amounts.life_ms)
    ] = None,
    rate: Annotated[
        Any, typer.Option(help="Requests: 60/min, 2/s; else any.", parser=amounts.per_minute)
    ] = None,
    burst: Annotated[
        int, typer.Option(min=0, help="Requests at once; a minute's if left out.")
    ] = 0,
    concurrency: Annotated[int, typer.Option(min=0, help="Unfinished jobs; 0 is any number.")] = 0,
    quota: Annotated[
        int, typer.Option(min=0, max=100_000_000, help="Step-megapixels a day (UTC); 0 is any.")
    ] = 0,
    weight: Annotated[int, typer.Option(min=1, max=1000, help="Share beside other tenants.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown now and never again."""
    key = ApiKey.new()
    allowance = Allowance(rate or 0, burst or rate or 0, concurrency, quota, weight)
    with opened(os.environ) as ledger:
        entry = keyring.enter(
            key, tenant, name=name, scopes=scopes, allowance=allowance, ttl_ms=expires or 0
        )
        ledger.run(entry)
    _show(key, f"Key {key.id} of tenant {tenant}. Keep it now: it is not shown again.", as_json)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys there ever were; secrets are not known here."""
    with opened(os.environ) as ledger:
        at_ms, records = ledger.run(keyring.entries())
    if as_json:
        typer.echo(json.dumps([_told(record, at_ms) for record in records], indent=2))
        return
    table = Table("id", "tenant", "name", "state", "expires", "last used", "scopes", box=None)
    for record in records:
        dates = (_day(record.expires_ms)[:10], _day(record.used_ms)[:10])
        scopes = " ".join(sorted(record.scopes))
        table.add_row(record.id, record.tenant, record.name, record.state(at_ms), *dates, scopes)
    Console().print(table)


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        Any,
        typer.Option(metavar="SPAN", help="How long the old one is good.", parser=amounts.span_ms),
    ] = "1d",
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret; all else about it stays."""
    key = ApiKey.new(key_id)
    with opened(os.environ) as ledger:
        if ledger.run(keyring.rotate(key, grace_ms=grace)) is None:
            raise NotFound(f"There is no key {key_id}, or it is revoked; see `latentry keys list`.")
    until = f"The old one is good for {grace // 1000} s more. Keep this one now."
    _show(key, f"Key {key_id} has a new secret. {until}", as_json)


@app.command()
def revoke(key_id: KeyId) -> None:
    """End a key for good, at once."""
    with opened(os.environ) as ledger:
        if not ledger.run(keyring.revoke(key_id)):
            raise NotFound(f"There is no key {key_id}; see `latentry keys list`.")
    typer.echo(f"Key {key_id} opens nothing any more.", err=True)


def _show(key: ApiKey, sentence: str, as_json: bool) -> None:
    typer.echo(sentence, err=True)
    typer.echo(json.dumps({"id": key.id, "key": key.text}) if as_json else key.text)


def _told(record: KeyRecord, at_ms: int) -> dict[str, Any]:
    allowance = record.allowance
    return {
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "state": record.state(at_ms),
        "scopes": sorted(record.scopes),
        "requests_per_minute": allowance.per_minute,
        "burst": allowance.burst,
        "concurrency": allowance.jobs,
        "step_megapixels_per_day": allowance.step_megapixels,
        "weight": allowance.weight,
        "created_at": _day(record.created_ms),
        "expires_at": _day(record.expires_ms) or None,
        "last_used_at": _day(record.used_ms) or None,
    }


def _day(unix_ms: int | None) -> str:
    if unix_ms is None:
        return ""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="minutes")
