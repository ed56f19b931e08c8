"""The commands of an operator."""

from latentry.admin import api_keys as keys
from latentry.admin import webhooks
from latentry.admin.doctor.command import doctor
from latentry.cli.terminal import help as pages

app = pages.app(help="Do what an operator does directly in the ledger.")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.command("doctor", cls=pages.Command)(doctor)
