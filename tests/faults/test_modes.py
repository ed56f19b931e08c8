"""A storm over jobs of all modes and kinds: workers, gateways, Valkey die, and nothing shows it."""

import io
import itertools
import random
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image, ImageSequence
from transformers.models.clip.modeling_clip import CLIPTextModel

from latentry.client import Client
from latentry.contracts import Job, JobKind, JobStatus
from tests.e2e.conftest import SHAPES
from tests.faults.figures import Figure
from tests.faults.history import History
from tests.faults.house import FAST, House, house
from tests.faults.storm import Killer, doubled, ends_of, every
from tests.kinds import KINDS, with_pictures
from tests.modes import CONTROLS, EMBEDDINGS, IP_ADAPTERS, LORAS, MODES, T2I_ADAPTER, VAE
from tests.worker.engine import tiny
from tests.worker.engine.adapters import vaes, vectors, written
from tests.worker.engine.adapters.control.written import (
    network,
    original,
    save,
    t2i_adapter,
    tencents,
)
from tests.worker.engine.adapters.ip_adapter import pasted
from tests.worker.engine.adapters.written import Style
from tests.worker.engine.clips import tiny_motion

STEPS = 8
# Only a UNet of its own edits; what others a model refuses, a simulation does not know.
SIMULATED_MODES = [name for name, mode in MODES.items() if mode.channels != 8] + [*KINDS]
REAL_MODES = [name for name, mode in MODES.items() if mode.channels == 4] + [*KINDS]
Pixels: TypeAlias = dict[tuple[int, str], str]  # SHA-256 by index and name


@dataclass(slots=True)
class Storm:
    """Jobs of these modes, each with one of a few seeds and in strict mode, and what they drew.

    modes: and kinds. clips_by: the model that makes clips.
    """

    house: House
    modes: list[str]
    side: int
    seeds: int = 2
    clips_by: str = "shapes"
    history: History = field(init=False)
    undisturbed: dict[tuple[str, int], Pixels] = field(default_factory=dict)
    _files: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.house)

    def calm(self) -> None:
        """Draw each once while nothing happens."""
        pairs = list(itertools.product(self.modes, range(self.seeds)))
        jobs = [self.submit(mode, seed) for mode, seed in pairs]
        for pair, job in zip(pairs, jobs, strict=True):
            assert job
            self.undisturbed[pair] = self.pixels(self.history.end_of(job.id))

    def submit(self, mode: str, seed: int, *, by_file: bool = False) -> Job | None:
        """A job, whose pictures come with it or are files that were uploaded before."""
        fields = self.fields(mode, seed)
        if by_file:
            fields = with_pictures(fields, self._files.__getitem__)
        of_job = {"metadata": {"mode": mode, "seed": str(seed)}}
        if mode in KINDS:
            return self.history.note(
                lambda: sent(self.house.client, KINDS[mode].kind, fields | of_job)
            )
        return self.history.submit(**fields | of_job)

    def fields(self, mode: str, seed: int) -> dict[str, Any]:
        """Of its body, but what concerns the job."""
        drawn = {
            "model": "shapes", "prompt": "a plain colour", "num_inference_steps": STEPS,
            "guidance_scale": 1.0, "determinism": "strict", "width": self.side, "height": self.side,
        }  # fmt: skip
        if mode not in KINDS:
            return {**drawn, "steps": STEPS, "seed": seed, **MODES[mode].as_sent(seed)}
        if KINDS[mode].kind is JobKind.CLIP:
            drawn |= {"model": self.clips_by, "width": 64, "height": 64}
        return KINDS[mode].body(seed, drawn)

    def upload(self) -> None:
        """What later jobs name as files."""

        def upload(data: bytes) -> bytes:
            if data not in self._files:
                self._files[data] = self.house.client.upload(data).id
            return data

        for mode, seed in itertools.product(self.modes, range(self.seeds)):
            with_pictures(self.fields(mode, seed), upload)

    def rain(self, jobs: int, *, a_second: float) -> None:
        """Submit so many more, of all modes in turn, at a steady pace."""
        chance = random.Random(jobs)
        for number in range(jobs):
            mode = self.modes[number % len(self.modes)]
            self.submit(mode, chance.randrange(self.seeds), by_file=chance.random() < 0.5)
            threading.Event().wait(1 / a_second)

    def pixels(self, job: Job) -> Pixels:
        """All that it stored, steps on the way and clips too."""
        found = {}
        for output in job.outputs:
            image = Image.open(io.BytesIO(self.house.client.download(output)))
            shown = b"".join(one.convert("RGB").tobytes() for one in ImageSequence.Iterator(image))
            found[output.index, output.name] = sha256(shown).hexdigest()
        return found

    def is_as_ever(self, job: Job) -> bool:
        """Whether it drew what it draws undisturbed."""
        pair = (job.request.metadata["mode"], int(job.request.metadata["seed"]))
        return self.pixels(job) == self.undisturbed[pair]


def sent(client: Client, kind: JobKind, body: dict[str, Any]) -> Job:
    """A job of any kind but a generation."""
    match kind:
        case JobKind.UPSCALE:
            return client.submit_upscale(**body)
        case JobKind.CONTROL:
            return client.submit_control(**body)
        case JobKind.CLIP:
            return client.submit_clip(**body)
        case _:
            return client.submit_interpolation(body.pop("from"), body.pop("to"), **body)


def weather(
    storm: Storm, killer: Killer, jobs: int, *, a_second: float, kill_s: float, others_s: float
) -> dict[str, int]:
    """The storm itself: a worker dies every `kill_s`, gateway and Valkey in turn every other."""
    killed = {"gateway": 0, "Valkey": 0}

    def strike() -> None:
        if killed["gateway"] <= killed["Valkey"]:
            storm.house.kill_gateway()
            killed["gateway"] += 1
        else:
            storm.house.valkey.kill()
            storm.house.valkey.start()
            killed["Valkey"] += 1

    with every(kill_s, killer.strike), every(others_s, strike):
        storm.rain(jobs, a_second=a_second)
    return killed | {"worker": killer.killed}


def tried(
    storm: Storm, workers: int, jobs: int, figure: Figure, name: str, **weathered: float
) -> None:
    """Everything that is promised, after a storm."""
    killer = Killer(storm.house, [storm.house.worker() for _ in range(workers)])
    storm.calm()
    storm.upload()
    killed = weather(storm, killer, jobs, **weathered)
    ends = ends_of(storm.history)
    storm.history.check()  # each in one terminal state, its steps complete, and nothing pinned
    assert not list(storm.house.ledger.client.scan_iter(f"{storm.house.ledger.root}:pins:*"))
    failed = [job for job in ends if job.status is not JobStatus.SUCCEEDED]
    changed = [job for job in ends if job not in failed and not storm.is_as_ever(job)]
    figure(f"{name}: jobs of {len(storm.modes)} modes", len(ends))
    for who, times in killed.items():
        figure(f"{name}: {who} killed", times, at_least=1)
    figure(
        f"{name}: refused or of unknown outcome", len(storm.history.refused) + storm.history.unknown
    )
    figure(f"{name}: jobs failed", len(failed), at_most=0)
    figure(f"{name}: jobs with two results", len(doubled(storm.history)), at_most=0)
    figure(f"{name}: jobs whose pictures differ from undisturbed ones", len(changed), at_most=0)


SIMULATED = {"lease_s": "3", "heartbeat_s": "1", "durable": True}


@pytest.fixture
def closet(tmp_path: Path) -> str:
    """A folder with the adapters that modes name, for the bundled model."""
    folder = tmp_path / "closet"
    folder.mkdir()
    unet = UNet2DConditionModel.from_pretrained(SHAPES / "unet", low_cpu_mem_usage=False)
    texts = CLIPTextModel.from_pretrained(SHAPES / "text_encoder")
    for number, id in enumerate(LORAS):
        style = Style(size=0.15, networks=("unet", "text_encoder")[: number + 1])
        found = written.terms(SimpleNamespace(unet=unet, text_encoder=texts), style, number)
        written.save(written.kohya(found), folder / f"{id}.safetensors")
    own = AutoencoderKL.from_pretrained(SHAPES / "vae", low_cpu_mem_usage=False)
    vaes.write(folder / f"{VAE}.safetensors", vaes.as_published(vaes.kin(own, part=0.02)))
    for number, id in enumerate(CONTROLS):
        save(original(network(unet, number)), folder / f"{id}.safetensors")
    save(tencents(t2i_adapter(unet, 7)), folder / f"{T2I_ADAPTER}.safetensors")
    pasted.image_encoder(folder / "image_encoder")
    for number, (id, kind) in enumerate(zip(IP_ADAPTERS, pasted.KINDS.values(), strict=False)):
        pasted.save(pasted.ip_adapter(unet, kind, number), folder / f"{id}.safetensors")
    for id, count in EMBEDDINGS.items():
        made = vectors.drawn(SimpleNamespace(text_encoder=texts), count, seed=count)
        written.save(vectors.file(made), folder / f"{id}.safetensors")
    return str(folder)


@pytest.fixture
def moving(tmp_path: Path) -> str:
    """A tiny model with a motion module."""
    made = tiny.make(tmp_path / "moving", tiny.EPSILON)
    return str(tiny_motion.write(made, tiny_motion.adapter()))


@pytest.mark.slow
def test_a_small_storm_over_all_modes_shows_in_no_picture(
    tmp_path: Path, closet: str, figure: Figure
) -> None:
    """T34"""
    with house(tmp_path, models=FAST, adapters=closet, **SIMULATED) as fast:
        storm = Storm(fast, SIMULATED_MODES, 64, seeds=1)
        jobs = len(storm.modes) + 4
        tried(storm, 2, jobs, figure, "small storm", a_second=8, kill_s=2, others_s=3)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_a_storm_over_all_modes_shows_in_no_picture(
    tmp_path: Path, closet: str, storm_jobs: int, figure: Figure
) -> None:
    """T34"""
    with house(tmp_path, models=FAST, adapters=closet, **SIMULATED) as fast:
        storm = Storm(fast, SIMULATED_MODES, 64)
        jobs = max(100, storm_jobs // 4)
        tried(storm, 3, jobs, figure, "all modes, simulated", a_second=8, kill_s=3, others_s=11)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_nor_does_it_on_the_real_engine(
    tmp_path: Path, closet: str, moving: str, storm_jobs: int, figure: Figure
) -> None:
    """T34"""
    options = {"models": f"shapes={SHAPES},moves={moving}", "threads": "1", "checkpoint_s": "0.5"}
    with house(tmp_path, durable=True, adapters=closet, **options) as real:
        storm = Storm(real, REAL_MODES, 96, clips_by="moves")
        jobs = max(50, storm_jobs // 20)
        tried(storm, 1, jobs, figure, "all modes, real", a_second=1, kill_s=25, others_s=18)
