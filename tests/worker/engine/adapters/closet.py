"""The adapters that tests/modes.py names, made to measure for each family of tiny models."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import diffusers
import torch

from latentry.contracts import Vae
from tests.modes import CONTROLS, EMBEDDINGS, IP_ADAPTERS, SPECIAL, T2I_ADAPTER, VAE, pictures
from tests.worker.engine import oracle, tiny
from tests.worker.engine.adapters import vaes, vectors, written
from tests.worker.engine.adapters.control.written import (
    diffusers_weights,
    network,
    save,
    t2i_adapter,
)
from tests.worker.engine.adapters.drawing import Made
from tests.worker.engine.adapters.ip_adapter import pasted
from tests.worker.engine.adapters.ip_adapter.showing import Shown, shown
from tests.worker.engine.adapters.written import Style
from tests.worker.engine.conftest import serving
from tests.worker.engine.tiny import Family
from worker.engine.adapters.file import AdapterFile
from worker.engine.inputs.control import control_pictures
from worker.engine.loop import LoadedAdapter, Order

STYLES = {
    "ink": Style(alphas=(2.0, 4.0), size=0.3),
    "pen": Style(
        convolutions=True, ranks=(2, 5), networks=("unet", "text_encoder"), alphas=(1.0,), size=0.3
    ),
}


@dataclass(frozen=True, slots=True)
class Closet:
    """Of one family, by id: what each file says, and the same loaded.

    pasted: the weights of IP-Adapters; encoder: the folder of what shows them pictures.
    """

    made: Mapping[str, Made]
    spoken: Mapping[str, vectors.Vectors]
    loaded: Mapping[str, LoadedAdapter]
    vae: Any
    nets: Mapping[str, Any]
    pasted: Mapping[str, pasted.Weights]
    encoder: Path

    def dressed(self, order: Order) -> Order:
        """The order as a worker makes it that has found the files."""
        named = {
            name: tuple(
                one.model_copy(update={"sha256": self.loaded[one.id].sha256})
                for one in getattr(order.request, name)
            )
            for name in ("loras", "embeddings", "controls", "image_prompts")
        }
        vae = order.request.vae and Vae(id=VAE, sha256=self.loaded[VAE].sha256)
        request = order.request.model_copy(update={**named, "vae": vae})
        shown = [
            control_pictures(
                one, pictures(int(one.image.pixel_sha256))["image"], request, order.canvas
            )
            for one in request.controls
        ]
        adapters = {one.sha256: self.loaded[one.id] for each in named.values() for one in each}
        if vae:
            adapters[vae.sha256] = self.loaded[VAE]
        return replace(order, request=request, adapters=adapters, controls=shown)

    @contextmanager
    def merged(
        self, pipeline: Any, order: Order, pictures: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """A stock pipeline with the order's LoRAs in its weights, which knows its embeddings, and
        its IP-Adapters beside them. pictures: of its image prompts, by place.
        """
        weighted = [
            (self.made[one.id].deltas, one.weight, one.text_encoder_weight)
            for one in order.request.loras
        ]
        named = {f"<{one.id}>": self.spoken[one.id] for one in order.request.embeddings}
        of_adapter: dict[str, list[Any]] = {}
        for number, prompt in enumerate(order.request.image_prompts):
            picture = (pictures or {})[f"image_prompts/{number}/image"]
            of_adapter.setdefault(prompt.id, []).append((picture, prompt.weight))
        prompts = [Shown(self.pasted[id], each) for id, each in of_adapter.items()]
        with (
            written.merged(pipeline, *weighted),
            vectors.words(pipeline, named),
            shown(pipeline, self.encoder, prompts) if prompts else nullcontext(),
        ):
            own = pipeline.vae
            pipeline.vae = self.vae if order.request.vae else own
            try:
                yield
            finally:
                pipeline.vae = own


_ROOT = TemporaryDirectory()  # as long as the process: stock reads its encoder later


@cache
def closet(family: Family) -> Closet:
    """Made once, whatever weights the models themselves have."""
    made: dict[str, Made] = {}
    spoken: dict[str, vectors.Vectors] = {}
    loaded: dict[str, LoadedAdapter] = {}
    weights: dict[str, pasted.Weights] = {}
    with torch.random.fork_rng(devices=[]):
        folder = Path(mkdtemp(prefix="closet-", dir=_ROOT.name))
        source = tiny.make(folder / "model", oracle.FAMILIES[family], family=family)
        pipeline = diffusers.DiffusionPipeline.from_pretrained(source, low_cpu_mem_usage=False)
        backend = serving({"model": source})
        for seed, (id, style) in enumerate(STYLES.items()):
            found = written.terms(pipeline, style, seed)
            path = folder / f"{id}.safetensors"
            written.save(written.kohya(found, is_xl=family is Family.SDXL), path)
            sha256 = AdapterFile.read(path).sha256
            made[id] = Made(path, sha256, written.deltas(found))
            [loaded[id]] = backend.adapters.load("model", {sha256: path}).values()
        vae = vaes.kin(pipeline.vae)
        path = vaes.write(folder / f"{VAE}.safetensors", vaes.as_published(vae))
        sha256 = AdapterFile.read(path).sha256
        [loaded[VAE]] = backend.adapters.load("model", {sha256: path}).values()
        nets = {id: network(pipeline.unet, seed) for seed, id in enumerate(CONTROLS)}
        if family is not Family.SD2:  # which no T2I-Adapter is for
            nets[T2I_ADAPTER] = t2i_adapter(pipeline.unet, 7)
        for id, net in nets.items():
            path = save(diffusers_weights(net), folder / f"{id}.safetensors")
            sha256 = backend.adapters.inspect(path).sha256
            [loaded[id]] = backend.adapters.load("model", {sha256: path}).values()
        for id, count in EMBEDDINGS.items():
            spoken[id] = vectors.drawn(pipeline, count, seed=count)
            path = written.save(vectors.file(spoken[id]), folder / f"{id}.safetensors")
            sha256 = AdapterFile.read(path).sha256
            [loaded[id]] = backend.adapters.load("model", {sha256: path}).values()
        encoder = pasted.image_encoder(folder / "image_encoder")
        kinds = zip(IP_ADAPTERS, ("ip-adapter", "ip-adapter-plus"), strict=True)
        for seed, (id, kind) in enumerate(kinds):
            weights[id] = pasted.ip_adapter(pipeline.unet, pasted.KINDS[kind], seed)
            path = pasted.save(weights[id], folder / f"{id}.safetensors")
            sha256 = backend.adapters.inspect(path).sha256
            [loaded[id]] = backend.adapters.load("model", {sha256: path}).values()
    return Closet(made, spoken, loaded, vae, nets, weights, encoder)


def closet_for(model: str) -> Closet:
    """That of a tiny model's family, by the model's name."""
    known = oracle.MODELS.get(model)
    assert known or model in (*tiny.SCHEDULERS, *SPECIAL.values()), "an SD 1.x"
    return closet(known.family if known else Family.SD1)
