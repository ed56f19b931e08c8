"""The options of the operator's commands."""

from typing import Annotated, Any

import typer

from latentry.admin import amounts
from latentry.api_keys import Scope
from latentry.contracts import Provenance

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
KeyId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the key, as `latentry keys list` prints it.")
]
KeyTenant = Annotated[
    str, typer.Option(help="Tenant that the key belongs to.", parser=amounts.tenant)
]
Name = Annotated[str, typer.Option(help="Name of the key, for listings.")]
Scopes = Annotated[
    Any,
    typer.Option(
        metavar="SCOPES",
        help=f"Comma-separated scopes: {', '.join(Scope)}.",
        parser=amounts.scopes,
        show_default="all but usage:tenant",
    ),
]
Lifetime = Annotated[
    Any,
    typer.Option(
        metavar="DURATION",
        help="Lifetime, such as 90d; unlimited if omitted.",
        parser=amounts.lifetime_ms,
    ),
]
Rate = Annotated[
    Any,
    typer.Option(
        metavar="RATE",
        help="Request rate, such as 60/min or 2/s; unlimited if omitted.",
        parser=amounts.per_minute,
    ),
]
Burst = Annotated[
    int,
    typer.Option(
        min=0,
        help="Requests allowed at once; one minute of --rate if omitted.",
        show_default=False,
    ),
]
Concurrency = Annotated[
    int, typer.Option(min=0, help="Maximum number of unfinished jobs; 0 is unlimited.")
]
Quota = Annotated[
    int,
    typer.Option(min=0, max=100_000_000, help="Step-megapixels per day (UTC); 0 is unlimited."),
]
Weight = Annotated[
    int,
    typer.Option(
        min=1, max=1000, help="The tenant's relative share of the workers while others wait."
    ),
]
LeastProvenance = Annotated[
    Provenance,
    typer.Option(help="The least that files of its jobs must say of their making."),
]
KeyGrace = Annotated[
    Any,
    typer.Option(
        metavar="DURATION",
        help="How long the old secret remains valid.",
        parser=amounts.duration_ms,
    ),
]
SecretTenant = Annotated[
    str, typer.Option(help="Tenant whose webhooks it signs.", parser=amounts.tenant)
]
SecretGrace = Annotated[
    Any,
    typer.Option(
        metavar="DURATION",
        help="How long older secrets keep signing.",
        parser=amounts.duration_ms,
    ),
]
