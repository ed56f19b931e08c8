"""Opens the backend that the models' sources name: torch, or a simulation that keeps time only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from latentry.contracts import AnyCard, Defaults, Limits, ModelCard, Sampler
from latentry.low_memory import LowMemory
from latentry.settings import Settings
from latentry.sources import HubPin, ModelLocation, Simulation
from worker.engine.attempts import Attempts
from worker.engine.background.backend import Background
from worker.engine.loop.backend import ServedBackend
from worker.engine.loop.router import BackendRouter
from worker.engine.models.loading.early_digests import EarlyDigests
from worker.engine.preprocessing import Preprocessors
from worker.engine.simulated import VAE_FACTOR, Charge, Simulated, WallClock
from worker.engine.upscaling.lanczos import Lanczos
from worker.process.importing import importing
from worker.process.keepalive import Keepalive
from worker.stepping import LOADING_S

if TYPE_CHECKING:
    from worker.engine.captioning.captioner import Captioner
    from worker.engine.device import Device
    from worker.engine.diffusion.diffusion import Diffusion
    from worker.engine.upscaling.network import Network

ATTEMPTS: Final = "attempts"  # the folder of notes on what is being loaded
FETCH_S: Final = 3600.0  # downloading a model from a hub over a slow connection
_SIDE: Final = 512  # pixels; a simulation's `call_ms` and `row_ms` are for this size


def open_backend(
    settings: Settings,
    keepalive: Keepalive,
    in_folders: Mapping[str, Path] = MappingProxyType({}),
    early: EarlyDigests | None = None,
) -> tuple[BackendRouter, list[AnyCard]]:
    """The backend, with every model that fits loaded and tested, and all that it makes beside
    them.

    With the cards of all models, then those of the background. `in_folders`: models besides those
    that settings name. `early`: hashes of files that are loaded first, as far as they are begun.
    """
    simulations: dict[str, Simulation] = {}
    stored: dict[str, ModelLocation] = {}
    for model, source in settings.model_sources.items():
        if isinstance(source, Simulation):
            simulations[model] = source
        else:
            stored[model] = source
    everything: list[tuple[ServedBackend[Any], Sequence[AnyCard]]] = []
    found = early or EarlyDigests.begun([*stored.values(), *in_folders.values()])
    diffusion = _diffusion(settings) if stored or settings.model_folders else None
    networks = _networks(settings, keepalive)  # first: they stay, and models have the rest
    taken = sum(one.size_bytes for one in networks)
    captioners = _captioners(settings, keepalive, taken)
    if diffusion is not None:
        diffusion.reserve(taken + sum(one.size_bytes for one in captioners))
        sources = {**stored, **in_folders}
        if found is not None:
            found.stop()
        everything.append((diffusion, _opened(diffusion, sources, settings, keepalive, found)))
    if simulations:
        everything.append(_simulated(simulations))
    background = Background([Lanczos(), *networks, Preprocessors(), *captioners])
    everything.append((background, background.cards))
    routes = {card.queue: backend for backend, cards in everything for card in cards}
    return BackendRouter(routes, diffusion), [card for _, cards in everything for card in cards]


def _networks(settings: Settings, keepalive: Keepalive) -> "Sequence[Network]":
    if not (sources := settings.upscaler_sources):
        return ()
    # Imported here, as for models: without any there is no torch to load.
    from worker.engine.device import Device
    from worker.engine.upscaling.catalogue import open_upscalers

    keepalive.extend(LOADING_S)
    at = Device.choose(settings.device, settings.dtype)
    return [*open_upscalers(sources, at, settings.model_memory_bytes, _attempts(settings, at))]


def _attempts(settings: Settings, at: "Device") -> Attempts:
    import torch

    return Attempts(settings.data_dir / ATTEMPTS, at.identity, torch.AcceleratorError)


def _captioners(settings: Settings, keepalive: Keepalive, used_bytes: int) -> "Sequence[Captioner]":
    if not settings.captioner:
        return ()
    from worker.engine.captioning.captioner import open_captioner
    from worker.engine.device import Device

    keepalive.extend(LOADING_S)
    at = Device.choose(settings.device, settings.dtype)
    budget_bytes, attempts = settings.model_memory_bytes, _attempts(settings, at)
    found = open_captioner(Path(settings.captioner), at, budget_bytes, used_bytes, attempts)
    return () if found is None else (found,)


def _simulated(models: Mapping[str, Simulation]) -> tuple[ServedBackend[Any], list[ModelCard]]:
    area = (_SIDE // VAE_FACTOR) ** 2
    charges = {
        id: Charge(one.call_ms / 1e3, one.row_ms / 1e3, area, one.picture_ms / 1e3)
        for id, one in models.items()
    }
    return Simulated(charges, WallClock()), [_card(id) for id in models]


def _card(model: str) -> ModelCard:
    return ModelCard(
        id=model,
        limits=Limits(
            max_side=2 * _SIDE, max_clip_skip=1, images=True, previews=True, max_frames=32
        ),
        defaults=Defaults(
            width=_SIDE,
            height=_SIDE,
            num_inference_steps=25,
            guidance_scale=7.5,
            sampler=Sampler.DDIM,
        ),
        samplers=list(Sampler),
        created=0,  # there is no file that has a date
    )


def _diffusion(settings: Settings) -> "Diffusion":
    # Imported here: a simulation starts in a second, and needs no torch on its machine.
    with importing():
        from worker.engine.device import Device
        from worker.engine.diffusion.diffusion import Diffusion
        from worker.engine.unet.compiled import CompiledUNets

    saves = settings.ways_to_save_memory
    at = Device.choose(settings.device, settings.dtype)
    is_cuda = at.device.type == "cuda"
    compiles = settings.compile == "on" or (settings.compile == "auto" and is_cuda)
    if LowMemory.OFFLOAD in saves:  # a package has the weights' addresses on the device
        compiles = False
    return Diffusion(
        device=settings.device,
        dtype=settings.dtype,
        low_memory=saves,
        threads=settings.threads,
        model_memory_bytes=settings.model_memory_bytes,
        adapter_memory_bytes=settings.adapter_memory_bytes,
        compiled=CompiledUNets(settings.data_dir / "compiled") if compiles else None,
        attempts=_attempts(settings, at),
    )


def _opened(
    diffusion: "Diffusion",
    sources: Mapping[str, ModelLocation],
    settings: Settings,
    keepalive: Keepalive,
    early: EarlyDigests | None,
) -> list[ModelCard]:
    def extend(source: ModelLocation) -> None:
        keepalive.extend(FETCH_S if isinstance(source, HubPin) else LOADING_S)

    may_be_none = bool(settings.model_folders)
    cards = diffusion.open(sources, before=extend, may_be_none=may_be_none, early=early)
    diffusion.threads.take_all()  # the test pictures were drawn while the rest of a stack started
    return cards
