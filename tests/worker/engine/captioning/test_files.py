"""A captioner's files, damaged and hostile: it is left out, and the worker goes on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentry.settings import Settings
from tests.worker.engine.captioning import tiny_blip
from worker.backends import open_backend
from worker.engine.attempts import Attempts
from worker.engine.captioning import captioner
from worker.engine.captioning.captioner import open_captioner
from worker.engine.device import Device
from worker.process.keepalive import NoKeepalive

CPU = Device.choose("cpu", "float32")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return tiny_blip.write(tmp_path_factory.mktemp("captioner") / "tiny")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "own")


def config(**changed: Any) -> Callable[[Path], object]:
    """Change it, or its parts: `text_config__vocab_size`."""

    def change(folder: Path) -> None:
        file = folder / "config.json"
        read = json.loads(file.read_text())
        for name, value in changed.items():
            part, _, own = name.partition("__")
            if own:
                read[part][own] = value
            else:
                read[part] = value
        file.write_text(json.dumps(read))

    return change


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        change(weights)
        save_file(weights, folder / WEIGHTS)

    return write


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def cut(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def shortened(folder: Path) -> None:
    """Room for fewer tokens than requests may ask for, which would fail on the way, or worse."""
    config(text_config__max_position_embeddings=32)(folder)
    name = "text_decoder.bert.embeddings.position_embeddings.weight"
    tensors(lambda weights: weights.update({name: weights[name][:32].clone()}))(folder)


FIRST = "text_decoder.bert.embeddings.word_embeddings.weight"
HOSTILE: dict[str, Callable[[Path], object]] = {
    "a pickle": pickled,
    "cut short": cut,
    "no weights": lambda folder: (folder / WEIGHTS).unlink(),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "no words": lambda folder: (folder / "vocab.txt").unlink(),
    "words that are none": lambda folder: (
        (folder / "vocab.txt").unlink(),
        (folder / "tokenizer.json").write_text('{"model": {"vocab": [1, 2]}}'),
    ),
    "half a character": lambda folder: (
        (folder / "vocab.txt").unlink(),
        (folder / "tokenizer.json").write_text(r'{"model": {"vocab": {"a\ud800": 1}}}'),
    ),
    "more words than the network has": text("vocab.txt", "word\n" * 1_000),
    "no JSON": text("config.json", "{"),
    "a deep JSON": text("config.json", "[" * 200_000),
    "a list": text("config.json", "[]"),
    "another network": config(architectures=["BlipForQuestionAnswering"]),
    "no network": config(architectures=None),
    "parts that are none": config(text_config=[1]),
    "layers without end": config(text_config__num_hidden_layers=10**9),
    "a huge layer": config(vision_config__hidden_size=10**12),
    "a negative size": config(text_config__vocab_size=-5),
    "no heads": config(text_config__num_attention_heads=0),
    "half a layer": config(vision_config__num_hidden_layers=1.5),
    "an unknown activation": config(text_config__hidden_act="__import__"),
    "another size": config(text_config__hidden_size=64),
    "a tensor less": tensors(lambda weights: weights.pop(FIRST)),
    "a tensor more": tensors(lambda weights: weights.update(other=torch.zeros(2))),
    "short captions": shortened,
    "not finite": tensors(lambda weights: weights[FIRST].fill_(float("nan"))),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_what_cannot_be_used_is_left_out(folder: Path, damage: str) -> None:
    HOSTILE[damage](folder)
    assert open_captioner(folder, CPU, 0, 0) is None


def test_what_a_config_says_besides_is_not_read(folder: Path) -> None:
    code = {"AutoModel": "evil--code.Model"}
    config(auto_map=code, _name_or_path="/etc", torch_dtype="float16", quantization_config={})(
        folder
    )
    assert open_captioner(folder, CPU, 0, 0) is not None


def test_a_fingerprint_says_what_is_in_it_and_not_what_its_folder_is_called(
    folder: Path, tmp_path: Path
) -> None:
    def told(folder: Path) -> tuple[str, str]:
        found = open_captioner(folder, CPU, 0, 0)
        assert found is not None
        return found.card.fingerprint, found.profile

    of_it = told(folder)
    assert told(Path(shutil.copytree(folder, tmp_path / "copy"))) == of_it
    changes = [
        text("vocab.txt", (folder / "vocab.txt").read_text().replace("frog", "toad")),
        config(text_config__sep_token_id=4),
        tensors(lambda weights: weights[FIRST].add_(1)),
    ]
    for number, change in enumerate(changes):
        other = Path(shutil.copytree(folder, tmp_path / str(number) / folder.name))
        change(other)
        assert not set(told(other)) & set(of_it)


def test_a_note_says_that_it_is_tried_until_that_is_over(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a worker that dies of it would die at every start."""
    noted, loads = list[int](), captioner._loaded

    def counting(*what: Any) -> Any:
        noted.append(len(list(tmp_path.glob("notes/*/*"))))
        return loads(*what)

    monkeypatch.setattr(captioner, "_loaded", counting)
    assert open_captioner(folder, CPU, 0, 0, Attempts(tmp_path / "notes")) is not None
    assert noted == [1]
    assert not list(tmp_path.glob("notes/*"))


def test_it_counts_in_the_memory_for_models(folder: Path) -> None:
    found = open_captioner(folder, CPU, 0, 0)
    assert found is not None
    assert open_captioner(folder, CPU, found.size_bytes + 10, 10) is not None
    assert open_captioner(folder, CPU, found.size_bytes + 9, 10) is None
    budget = 2**40
    settings = Settings(
        models="shapes=models/shapes",
        captioner=str(folder),
        device="cpu",
        model_memory_bytes=budget,
    )
    backend, cards = open_backend(settings, NoKeepalive())
    assert cards[-1].captioner == "own"
    memory = backend.backend_of("shapes")._residents.memory
    assert budget - memory.budget_bytes == found.size_bytes


def test_a_worker_without_a_usable_one_serves_all_else(folder: Path) -> None:
    cut(folder)
    settings = Settings(models="a=simulated:call_ms=0.1", captioner=str(folder), device="cpu")
    _, cards = open_backend(settings, NoKeepalive())
    assert not [card for card in cards if hasattr(card, "captioner")]


@pytest.mark.parametrize("step", ["read_blip", "prepared"])
def test_one_for_which_the_device_has_no_memory_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Else the worker would end, start again and end."""

    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(captioner, step, refuse)
    assert open_captioner(folder, CPU, 0, 0) is None
