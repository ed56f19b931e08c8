"""The gateway's fixtures; hostile callers use the same doors as all others."""

import pytest

from latentry.contracts import (
    Adapter,
    AdapterKind,
    CaptionerCard,
    ClipFormat,
    Preprocess,
    PreprocessorsCard,
    RegisteredCard,
    Sampler,
    UpscalerCard,
)
from latentry.ledger import Ledger, commands
from tests.latentry.ledger.factory import card
from tests.modes import CONTROLS, EMBEDDINGS, IP_ADAPTERS, LORAS, T2I_ADAPTER, VAE
from tests.service.conftest import app, client, settings, url
from tests.service.conftest import worker as serving
from tests.service.fake import FakeWorker

__all__ = ["app", "client", "serving", "settings", "url"]


@pytest.fixture
def worker(serving: FakeWorker, ledger: Ledger) -> FakeWorker:
    """It can do all that a worker can: LoRAs, a VAE, clips, upscales, controls, captions."""
    plain = card()
    adapters = tuple(
        Adapter(
            id=id, kind=kind, family="SD 1.x", models=(plain.id,), sha256="0" * 64,
            autov3="0" * 12, size_bytes=1, rank=1, networks=("unet",),
        )
        for kind, ids in (
            (AdapterKind.LORA, LORAS),
            (AdapterKind.CONTROLNET, CONTROLS),
            (AdapterKind.T2I_ADAPTER, (T2I_ADAPTER,)),
            (AdapterKind.VAE, (VAE,)),
        )
        for id in ids
    )  # fmt: skip
    adapters += tuple(
        adapters[0].model_copy(update={"id": id, "kind": AdapterKind.IP_ADAPTER})
        for id in IP_ADAPTERS
    )
    adapters += tuple(
        Adapter(
            id=id, kind=AdapterKind.EMBEDDING, family="SD 1.x", models=(plain.id,),
            sha256="0" * 64, autov3="0" * 12, size_bytes=1, vectors=vectors, networks=(),
        )
        for id, vectors in EMBEDDINGS.items()
    )  # fmt: skip
    limits = plain.limits.model_copy(update={"clips": tuple(ClipFormat), "max_frames": 4})
    able = {"limits": limits, "samplers": list(Sampler), "adapters": adapters}
    ledger.run(commands.register_model(RegisteredCard(**dict(plain) | able)))
    upscaler = UpscalerCard(
        id="lanczos", architecture="Lanczos", scale=8.0, default_scale=2.0, created=1_790_000_000
    )
    preprocessors = PreprocessorsCard(preprocessors=tuple(Preprocess))
    captioner = CaptionerCard(captioner="blip", side=384)
    serving.queues += [upscaler.queue, preprocessors.queue, captioner.queue]
    ledger.run(commands.heartbeat("fake", serving.queues, ttl_s=60))
    for one in (upscaler, preprocessors, captioner):
        ledger.run(commands.register_model(one))
    return serving
