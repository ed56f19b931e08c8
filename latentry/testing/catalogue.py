"""The fake's answers about what there is."""

from collections import Counter
from datetime import UTC, datetime

import httpx

from latentry import __version__
from latentry.contracts import (
    AdapterList,
    JobKind,
    Model,
    ModelList,
    OutputFormat,
    Preprocess,
    PromptSyntax,
    ServedUpscaler,
    StyleList,
    UpscalerList,
    Usage,
    UsageList,
)
from latentry.contracts.batches import MAX_REQUESTS
from latentry.contracts.catalogue.capabilities import (
    Capabilities,
    ModelModes,
    Readiness,
    ServiceLimits,
    modes,
)
from latentry.contracts.upscales import LANCZOS
from latentry.errors import UnknownModel
from latentry.testing import answers
from latentry.testing.state import FakeCall, State


def livez(_: State, __: FakeCall) -> httpx.Response:
    """It is alive."""
    return answers.content(b'{"status":"alive"}', "application/json")


def readyz(_: State, __: FakeCall) -> httpx.Response:
    """It is ready."""
    return answers.json(Readiness(can_draw=True))


def get_capabilities(state: State, _: FakeCall) -> httpx.Response:
    """What can be asked for."""
    model = ModelModes(
        id=state.card.id, family=state.card.family, modes=modes(state.card.limits), workers=1
    )
    return answers.json(
        Capabilities(
            version=__version__,
            kinds=tuple(JobKind),
            output_formats=tuple(OutputFormat),
            prompt_syntaxes=tuple(PromptSyntax),
            models=(model,),
            adapters={},
            upscalers=(LANCZOS,),
            preprocessors=tuple(Preprocess),
            captioner="blip",
            styles=0,
            limits=_LIMITS,
        )
    )


def list_models(state: State, _: FakeCall) -> httpx.Response:
    """The only model."""
    return answers.json(ModelList(data=[_model(state)]))


def get_model(state: State, call: FakeCall) -> httpx.Response:
    """The only model, if it is meant."""
    if call.path["model_id"] != state.card.id:
        raise UnknownModel
    return answers.json(_model(state))


def list_adapters(_: State, __: FakeCall) -> httpx.Response:
    """None; requests may name any all the same."""
    return answers.json(AdapterList(data=[]))


def list_styles(_: State, __: FakeCall) -> httpx.Response:
    """None."""
    return answers.json(StyleList(data=[]))


def list_upscalers(state: State, _: FakeCall) -> httpx.Response:
    """Lanczos."""
    lanczos = ServedUpscaler(
        id=LANCZOS,
        architecture="Lanczos",
        scale=8.0,
        default_scale=2.0,
        created=state.card.created,
        workers=1,
    )
    return answers.json(UpscalerList(data=[lanczos]))


def get_usage(state: State, _: FakeCall) -> httpx.Response:
    """What was made today, whatever days are asked for."""
    told = [job for job in map(state.told, state.jobs.values()) if job.done]
    today = Usage(
        day=datetime.now(UTC).date(),
        key="-",
        jobs=dict(Counter(job.status.value for job in told)),
        images=sum(len(job.images) for job in told),
        step_megapixels=sum(job.cost.step_megapixels for job in told if job.cost),
    )
    return answers.json(UsageList(data=[today] if told else []))


def _model(state: State) -> Model:
    return Model(**state.card.model_dump(), workers=1)


_LIMITS = ServiceLimits(
    images_per_request=10,
    requests_per_batch=MAX_REQUESTS,
    prompt_characters=10_000,
    body_bytes=2**16,
    body_with_pictures_bytes=2**25,
    image_bytes=2**24,
    image_pixels=2**24,
    wait_s=60,
    keep_for_s=86_400,
    url_ttl_s=3_600,
)
