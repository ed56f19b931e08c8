"""What a request would cost, in sentences or as JSON."""

import typer

from latentry.contracts import Estimate


def tell_estimate(estimate: Estimate, *, as_json: bool) -> None:
    """Print what an estimate says."""
    text = "\n".join(_sentences(estimate))
    typer.echo(estimate.model_dump_json(indent=2) if as_json else text)


def _sentences(estimate: Estimate) -> list[str]:
    seconds, wait_s = estimate.cost.worker_seconds, estimate.estimated_wait_s
    cost = f"Cost: {estimate.cost.step_megapixels:g} step-megapixels"
    return [
        f"{cost}." if seconds is None else f"{cost}, {seconds:.1f} s of one worker.",
        "Estimated wait: unknown, no worker of the model is live."
        if wait_s is None
        else f"Estimated wait: {wait_s:.1f} s.",
    ]
