"""`latentry webhooks`. A secret is shown once, alone on standard output."""

import json
import os
from typing import Annotated, Any

import typer

from latentry.admin import amounts
from latentry.admin.ledger import opened
from latentry.api_keys import DEFAULT_TENANT
from latentry.ledger import deliveries

app = typer.Typer(help="Sign notices to receivers.", no_args_is_help=True)


@app.command()
def secret(
    tenant: Annotated[
        str, typer.Option(help="Whose notices it signs.", parser=amounts.tenant)
    ] = DEFAULT_TENANT,
    grace: Annotated[
        Any,
        typer.Option(
            metavar="SPAN", help="How long older ones go on signing.", parser=amounts.span_ms
        ),
    ] = "1d",
    as_json: Annotated[
        bool, typer.Option("--json", help="All of it as JSON on standard output.")
    ] = False,
) -> None:
    """Make a secret that signs a tenant's notices from now on. It is shown now and never again."""
    made = deliveries.new_secret()
    with opened(os.environ) as ledger:
        signing = ledger.run(deliveries.rotate(tenant, made, keep_s=grace / 1000))
    beside = f"; {signing - 1} older sign too, for {grace // 1000} s at most" * (signing > 1)
    typer.echo(f"A new secret signs the notices of tenant {tenant}{beside}. Keep it now.", err=True)
    told = json.dumps({"tenant": tenant, "secret": made, "signing": signing})
    typer.echo(told if as_json else made)
