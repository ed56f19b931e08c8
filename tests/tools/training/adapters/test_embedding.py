"""Vectors in a word's place, and the file that they are written to."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import CLIPTextModel

from tools.scenes.subjects import SUBJECTS
from tools.training import checkpoints
from tools.training.adapters import embedding
from tools.training.parts import hidden, load_part, load_tokenizer


@pytest.fixture(scope="module")
def encoder() -> CLIPTextModel:
    return load_part(CLIPTextModel, "text_encoder")


def test_vectors_of_a_word_read_as_that_word(encoder: CLIPTextModel) -> None:
    words = load_tokenizer()
    (frog,) = words("frog", add_special_tokens=False).input_ids
    vectors = encoder.get_input_embeddings().weight[frog].repeat(2, 1)
    plain = hidden(encoder, words, ["a frog frog on a blue background", "a red circle"])
    written = [embedding.written("a mascot on a blue background", "mascot"), "a red circle"]
    with embedding.spoken(encoder, words, vectors):
        assert torch.equal(hidden(encoder, words, written), plain)
    assert not torch.equal(hidden(encoder, words, written), plain)


def test_several_vectors_come_in_their_order_each_time(encoder: CLIPTextModel) -> None:
    words = load_tokenizer()
    ids = [words(word, add_special_tokens=False).input_ids[0] for word in ("blue", "frog")]
    vectors = encoder.get_input_embeddings().weight[ids]
    plain = hidden(encoder, words, ["blue frog and blue frog"])
    with embedding.spoken(encoder, words, vectors):
        said = embedding.written("mascot and mascot", "mascot")
        assert torch.equal(hidden(encoder, words, [said]), plain)


def test_the_file_is_in_a1111s_layout(tmp_path: Path) -> None:
    value, file = torch.randn(2, 128), tmp_path / "mascot.safetensors"
    subject = SUBJECTS["mascot"]
    checkpoints.save(embedding.name_of(subject), {"average": {"value": value}, "step": 3})
    embedding.export(subject, file)
    with safe_open(file, "pt") as opened:
        assert list(opened.keys()) == ["emb_params"]
        assert opened.metadata()["modelspec.trigger_phrase"] == "mascot"
    assert torch.equal(embedding.load(file), value)
