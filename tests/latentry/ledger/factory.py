"""Jobs for tests."""

import itertools
from typing import Any

from latentry.contracts import ModelCard, ResolvedRequest, StoredOutput
from latentry.contracts.catalogue.models import Defaults, Limits
from latentry.contracts.samplers import Sampler
from latentry.ledger import JobRef, NewJob
from latentry.ledger.accounts import Account
from latentry.rules.pricing import Price

_numbers = itertools.count()
# The key that jobs of tests are charged to; it may have more of them than any test makes.
BOUNDED = "bounded"


def request(**fields: object) -> ResolvedRequest:
    blank = {
        "model": "shapes",
        "prompt": "a red circle",
        "width": 128,
        "height": 128,
        "num_inference_steps": 4,
        "guidance_scale": 3.0,
        "sampler": "ddim",
        "seed": 7,
    }
    return ResolvedRequest.model_validate(blank | fields)


def new_job(
    id: str | None = None, *, tenant: str = "default", key: str = "", hash: str = "", **fields: Any
) -> NewJob:
    """A job of its own. Takes `model`, and the fields of its price, and those of NewJob."""
    ref = JobRef(tenant, id or f"gen_{next(_numbers)}")
    times = {"queue_ttl_ms": 60_000, "ttl_ms": 60_000}
    price = {name: fields.pop(name) for name in ("cost_ms", "seats", "images") if name in fields}
    wanted = fields.pop("request", None) or request(
        model=fields.pop("model", "shapes"), n=price.get("images", 1)
    )
    more = {"idempotency_key": key, "body_hash": hash, "price": Price(**price)}
    more["account"] = Account(payer=BOUNDED, max_jobs=1_000_000)
    return NewJob(ref, wanted, **(times | more | fields))


def image(index: int = 0, *, key: str = "k.png") -> StoredOutput:
    return StoredOutput(
        index=index,
        seed=7 + index,
        width=128,
        height=128,
        content_type="image/png",
        pixel_sha256="0" * 64,
        key=key,
    )


def card(model: str = "shapes") -> ModelCard:
    return ModelCard(
        id=model,
        limits=Limits(
            min_side=96, max_side=192, size_step=32, max_steps=100, max_clip_skip=2, images=True
        ),
        defaults=Defaults(
            width=128, height=128, num_inference_steps=25, guidance_scale=3.0, sampler=Sampler.DDIM
        ),
        samplers=[Sampler.DDIM, Sampler.EULER],
        created=1_790_000_000,
    )
