import random

import pytest

from tools.scenes.captions import caption
from tools.scenes.scene import COLOURS, SHAPES, sample_scene
from tools.scenes.wording import vocabulary
from tools.training.tokenizer import write


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return write(tmp_path_factory.mktemp("tokenizer"))


def test_every_vocabulary_word_is_one_token(tokenizer):
    for word in vocabulary():
        ids = tokenizer(word).input_ids
        assert len(ids) == 3, word
        assert tokenizer.decode(ids[1:2]).strip() == word


def test_captions_survive_tokenization_and_fit_the_window(tokenizer):
    rng = random.Random(5)
    for _ in range(500):
        text = caption(sample_scene(rng, pairs=0.5), rng)
        ids = tokenizer(text).input_ids
        assert len(ids) <= 36
        back = tokenizer.decode(ids, skip_special_tokens=True)
        assert "".join(back.split()) == "".join(text.lower().split())


@pytest.mark.parametrize("text", ["Zürich", "日本の蛙", "🐸", "qwxyz 0123456789 !?"])
def test_what_is_not_in_the_vocabulary_is_spelt_in_bytes(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]
    back = tokenizer.decode(ids, skip_special_tokens=True)
    assert "".join(back.split()) == "".join(text.lower().split())


def test_a_whole_caption_names_every_colour_and_only_those():
    rng = random.Random(6)
    for _ in range(500):
        scene = sample_scene(rng, pairs=0.5)
        text = caption(scene, rng, empty=0, partial=0)
        named = {colour for colour in COLOURS if colour in text.split(",")[0] + text}
        wanted = {scene.background, *(thing.colour for thing in scene.things)}
        assert wanted <= named


def test_some_captions_are_empty_and_some_leave_things_out():
    rng = random.Random(7)
    texts = [caption(sample_scene(rng, pairs=0), rng) for _ in range(2000)]
    assert 0.07 < texts.count("") / len(texts) < 0.13
    assert any(text in COLOURS for text in texts)
    assert any(text in SHAPES for text in texts)
