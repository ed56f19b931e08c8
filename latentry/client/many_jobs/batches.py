"""Requests that are submitted together, as many in one call as the service takes."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from latentry.client import api_calls
from latentry.client.errors import ApiError
from latentry.client.flows import Flow, answered
from latentry.client.many_jobs.asked import Submitted
from latentry.client.results import BatchItem
from latentry.client.retries import Retries
from latentry.contracts import GenerationRequest
from latentry.contracts.batches import MAX_REQUESTS
from latentry.errors import LatentryError

# Of one body; the service takes a mebibyte.
_MAX_BYTES: Final = 1_000_000


def submitted(
    requests: Sequence[GenerationRequest], idempotency_key: str | None, retries: Retries
) -> Flow[list[Submitted]]:
    """What became of each. A request that fits no batch is submitted by itself.

    Raises InvalidIdempotencyKey before any is sent.
    """
    key = api_calls.numbered_key(idempotency_key, len(requests), MAX_REQUESTS)
    results: list[Submitted] = []
    for batch in _batches([_text(request) for request in requests]):
        first = len(results)
        try:
            if len(batch) == 1:
                own = api_calls.submit(requests[first], f"{key}:{first}")
                results.append((yield from answered(own, retries)))
            else:
                of_all = f"{key}:{first}" if first else key  # the service adds each one's index
                call = api_calls.submit_batch([json.loads(text) for text in batch], of_all)
                results += map(_result, (yield from answered(call, retries)))
        except LatentryError as error:  # of the whole call: others may be more fortunate
            results += [error] * len(batch)
    return results


def _text(request: GenerationRequest) -> str:
    return request.model_dump_json(exclude_unset=True, exclude_none=True)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch, size = list[str](), 0
    for text in texts:
        length = len(text.encode()) + 1
        if batch and (len(batch) == MAX_REQUESTS or size + length > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def _result(item: BatchItem) -> Submitted:
    if item.job is not None:
        return item.job
    if item.problem is not None:
        return ApiError(item.problem, item.retry_after_s)
    return LatentryError("The service said nothing of this request.")
