"""The commands of an operator."""

import typer

from latentry.admin import api_keys as keys
from latentry.admin import webhooks

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
