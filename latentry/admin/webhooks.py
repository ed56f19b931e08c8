"""`latentry webhooks`. A secret is printed once, alone on standard output."""

import json
import os

import typer

from latentry.admin import options
from latentry.admin.ledger import opened
from latentry.api_keys import DEFAULT_TENANT
from latentry.cli.terminal import help as pages
from latentry.ledger import deliveries

app = pages.app(help="Manage the secrets that sign webhooks.")


@app.command(cls=pages.Command)
def secret(
    tenant: options.SecretTenant = DEFAULT_TENANT,
    grace: options.SecretGrace = "1d",
    as_json: options.AsJson = False,
) -> None:
    """Create a secret that signs a tenant's webhooks. It cannot be shown again."""
    made = deliveries.new_secret()
    with opened(os.environ) as ledger:
        signing = ledger.run(deliveries.rotate_secret(tenant, made, keep_s=grace / 1000))
    older = f"; {signing - 1} older ones keep signing for up to {grace // 1000} s" * (signing > 1)
    typer.echo(f"A new secret signs the webhooks of tenant {tenant}{older}. Save it now.", err=True)
    as_text = json.dumps({"tenant": tenant, "secret": made, "signing": signing})
    typer.echo(as_text if as_json else made)
