"""`latentry keys`. A key is printed once, alone on standard output; all else on standard error."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from latentry.admin import options
from latentry.admin.ledger import opened
from latentry.api_keys import ALL_SCOPES, DEFAULT_TENANT, ApiKey, Scope
from latentry.cli.terminal import help as pages
from latentry.contracts import Provenance
from latentry.errors import NotFound
from latentry.ledger import keyring
from latentry.ledger.keyring import Allowance, KeyRecord

app = pages.app(
    help="Create, list, rotate and revoke API keys. The ledger is at LATENTRY_REDIS_URL, or is that"
    " of the `latentry serve` running in this folder."
)

DEFAULT_SCOPES = ",".join(sorted(ALL_SCOPES - {Scope.USAGE_OF_ALL}))


@app.command(cls=pages.Command)
def new() -> None:
    """Generate a key without registering it, for LATENTRY_BOOTSTRAP_KEY."""
    typer.echo(ApiKey.new().text)


@app.command(cls=pages.Command)
def create(
    tenant: options.KeyTenant = DEFAULT_TENANT,
    name: options.Name = "",
    scopes: options.Scopes = DEFAULT_SCOPES,
    expires: options.Lifetime = None,
    rate: options.Rate = None,
    burst: options.Burst = 0,
    concurrency: options.Concurrency = 0,
    quota: options.Quota = 0,
    weight: options.Weight = 1,
    provenance: options.LeastProvenance = Provenance.NONE,
    as_json: options.AsJson = False,
) -> None:
    """Create a key. It is printed once and cannot be shown again."""
    key = ApiKey.new()
    allowance = Allowance(rate or 0, burst or rate or 0, concurrency, quota, weight)
    with opened(os.environ) as ledger:
        entry = keyring.enter(
            key,
            tenant,
            name=name,
            scopes=scopes,
            allowance=allowance,
            provenance=provenance,
            ttl_ms=expires or 0,
        )
        ledger.run(entry)
    _show(key, f"Key {key.id} of tenant {tenant}. Save it now: it cannot be shown again.", as_json)


@app.command("list", cls=pages.Command)
def list_keys(as_json: options.AsJson = False) -> None:
    """List all keys, expired and revoked ones included. Secrets are not stored."""
    with opened(os.environ) as ledger:
        at_ms, records = ledger.run(keyring.list_keys())
    if as_json:
        typer.echo(json.dumps([_as_dict(record, at_ms) for record in records], indent=2))
        return
    table = Table("id", "tenant", "name", "state", "expires", "last used", "scopes", box=None)
    for record in records:
        dates = (_day(record.expires_ms)[:10], _day(record.used_ms)[:10])
        scopes = " ".join(sorted(record.scopes))
        table.add_row(record.id, record.tenant, record.name, record.state(at_ms), *dates, scopes)
    Console().print(table)


@app.command(cls=pages.Command)
def rotate(
    key_id: options.KeyId,
    grace: options.KeyGrace = "1d",
    as_json: options.AsJson = False,
) -> None:
    """Replace the secret of a key. Its id, scopes and limits do not change."""
    key = ApiKey.new(key_id)
    with opened(os.environ) as ledger:
        if ledger.run(keyring.rotate(key, grace_ms=grace)) is None:
            raise NotFound(f"Key {key_id} does not exist or is revoked; see `latentry keys list`.")
    until = f"The old one remains valid for {grace // 1000} s. Save this one now."
    _show(key, f"Key {key_id} has a new secret. {until}", as_json)


@app.command(cls=pages.Command)
def revoke(key_id: options.KeyId) -> None:
    """Revoke a key permanently, with immediate effect."""
    with opened(os.environ) as ledger:
        if not ledger.run(keyring.revoke(key_id)):
            raise NotFound(f"Key {key_id} does not exist; see `latentry keys list`.")
    typer.echo(f"Key {key_id} revoked.", err=True)


def _show(key: ApiKey, sentence: str, as_json: bool) -> None:
    typer.echo(sentence, err=True)
    typer.echo(json.dumps({"id": key.id, "key": key.text}) if as_json else key.text)


def _as_dict(record: KeyRecord, at_ms: int) -> dict[str, Any]:
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
        "provenance": record.provenance,
        "created_at": _day(record.created_ms),
        "expires_at": _day(record.expires_ms) or None,
        "last_used_at": _day(record.used_ms) or None,
    }


def _day(unix_ms: int | None) -> str:
    if unix_ms is None:
        return ""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="minutes")
