"""The fields of a clip as keyword arguments."""

from collections.abc import Sequence
from typing import Any, Unpack

from latentry.client import api_calls, flows
from latentry.client.fields import OutputFields, validated, with_webhook
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.results import Job
from latentry.contracts import (
    ClipRequest,
    Determinism,
    Estimate,
    PromptSyntax,
    Sampler,
    SequenceOutput,
    Spacing,
    Template,
    WantedEmbedding,
    WantedVae,
)


class ClipFields(OutputFields, total=False):
    """The keyword arguments of `clip`, `submit_clip` and `estimate_clip`: ClipRequest's fields."""

    model: str | None
    negative_prompt: str | None
    prompt_syntax: PromptSyntax | str | None
    styles: Sequence[str] | None
    template: Template | dict[str, Any] | None
    clip_skip: int | None
    vae: WantedVae | dict[str, Any] | str | None
    embeddings: Sequence[WantedEmbedding | dict[str, Any]] | None
    width: int | None
    height: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    guidance_stop: float | None
    sampler: Sampler | str | None
    spacing: Spacing | str | None
    seed: int | None
    frames: int | None
    fps: int | None
    output: SequenceOutput | str | None
    determinism: Determinism | str | None


def clip_request_of(prompt: str, fields: ClipFields) -> ClipRequest:
    """The request. Raises InvalidRequest, which names the first invalid field."""
    return validated(ClipRequest, with_webhook({"prompt": prompt, **fields}))


class Clips(Connection):
    """What a client does with clips."""

    def clip(
        self,
        prompt: str,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[ClipFields],
    ) -> Job:
        """Submit a job for a clip and wait until it has succeeded; as `generate`."""
        request = clip_request_of(prompt, fields)
        return self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    def submit_clip(
        self, prompt: str, *, idempotency_key: str | None = None, **fields: Unpack[ClipFields]
    ) -> Job:
        """Submit a job for a clip and return it at once; as `submit`."""
        return self._call(api_calls.submit(clip_request_of(prompt, fields), idempotency_key))

    def estimate_clip(self, prompt: str, **fields: Unpack[ClipFields]) -> Estimate:
        """The cost and the estimated start of a clip. Raises ApiError if it would be refused."""
        return self._call(api_calls.estimate(clip_request_of(prompt, fields)))


class AsyncClips(AsyncConnection):
    """What an asyncio client does with clips."""

    async def clip(
        self,
        prompt: str,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[ClipFields],
    ) -> Job:
        """Submit a job for a clip and wait until it has succeeded; as `generate`."""
        request = clip_request_of(prompt, fields)
        return await self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    async def submit_clip(
        self, prompt: str, *, idempotency_key: str | None = None, **fields: Unpack[ClipFields]
    ) -> Job:
        """Submit a job for a clip and return it at once; as `submit`."""
        return await self._call(api_calls.submit(clip_request_of(prompt, fields), idempotency_key))

    async def estimate_clip(self, prompt: str, **fields: Unpack[ClipFields]) -> Estimate:
        """The cost and the estimated start of a clip. Raises ApiError if it would be refused."""
        return await self._call(api_calls.estimate(clip_request_of(prompt, fields)))
