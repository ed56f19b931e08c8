"""Captions: those of transformers' own generate, whatever is made beside them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertTokenizer, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from latentry.contracts import InputFile, ResolvedCaption
from latentry.errors import NonFiniteOutput
from latentry.rules.upscaling import STRIP_PIXELS
from tests.worker.engine.captioning import tiny_blip
from worker.engine.background.backend import Background
from worker.engine.captioning.captioner import Captioner, open_captioner, prepared
from worker.engine.captioning.words import Words
from worker.engine.device import Device
from worker.engine.inputs.canvas import Canvas, Pixels
from worker.engine.loop import BackgroundOrder, Done, Engine, Failed, Step
from worker.engine.loop.router import BackendRouter

CPU = Device.choose("cpu", "float32")
MOST = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_blip.write(tmp_path_factory.mktemp("captioner") / "tiny")


@pytest.fixture
def captioner(folder: Path) -> Captioner:
    found = open_captioner(folder, CPU, 0, 0)
    assert found is not None
    return found


def picture(seed: int, width: int = 60, height: int = 44) -> Pixels:
    cells = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def order(seed: int, max_tokens: int = MOST) -> BackgroundOrder:
    image = InputFile(file="file_1", pixel_sha256="1", width=60, height=44)
    request = ResolvedCaption(image=image, max_tokens=max_tokens, steps=max_tokens + 1)
    return BackgroundOrder(str(seed), 0, request, 0, canvas=Canvas(picture(seed)))


def said(captioner: Captioner, *orders: BackgroundOrder) -> tuple[dict[str, str], list[Step]]:
    background = Background([captioner])
    running = Engine(BackendRouter({captioner.card.queue: background}))
    for one in orders:
        running.submit(one)
    found, steps = dict[str, str](), list[Step]()
    for _ in range(1000):
        for event in running.step():
            if isinstance(event, Done):
                found[event.job] = event.pixels.tobytes().decode()
            elif isinstance(event, Step):
                steps.append(event)
        if len(found) == len(orders):
            return found, steps
    raise AssertionError("it never ends")


def stock(folder: Path, seed: int, max_tokens: int = MOST) -> tuple[str, int]:
    """What transformers says, and how many tokens it made, [SEP] among them."""
    network = BlipForConditionalGeneration.from_pretrained(folder).eval()
    shown = prepared(picture(seed), tiny_blip.SIDE)
    options = {"max_new_tokens": max_tokens, "num_beams": 1, "do_sample": False}
    with torch.inference_mode():
        [_, *tokens] = network.generate(pixel_values=shown, **options)[0].tolist()
    words = BertTokenizer(vocab=str(folder / "vocab.txt"))
    return words.decode(tokens, skip_special_tokens=True), len(tokens)


@pytest.mark.parametrize("seed", range(6))
def test_it_says_what_transformers_says(captioner: Captioner, folder: Path, seed: int) -> None:
    found, steps = said(captioner, order(seed))
    expected, tokens = stock(folder, seed)
    assert found[str(seed)] == expected
    calls = len(captioner.calls(order(seed).request))
    made = calls - MOST + tokens  # as many as it takes before the first token
    assert steps[-1].step == (MOST + 1) * made // calls


def test_pictures_are_told_apart_and_captions_end_early(captioner: Captioner, folder: Path) -> None:
    """Else the test above would compare little."""
    every = [stock(folder, seed) for seed in range(6)]
    assert len({text for text, _ in every}) > 2
    assert min(tokens for _, tokens in every) < MOST


def test_neighbours_change_no_word(captioner: Captioner) -> None:
    together, _ = said(captioner, *map(order, range(6)))
    assert together == {
        k: v for seed in range(6) for k, v in said(captioner, order(seed))[0].items()
    }


def test_one_without_numbers_ends_its_job_alone(captioner: Captioner) -> None:
    background = Background([captioner])
    running = Engine(BackendRouter({captioner.card.queue: background}))
    bias = captioner.network.text_decoder.cls.predictions.decoder.bias
    kept = bias.clone()
    bias.fill_(float("nan"))
    running.submit(order(0))
    ends = [one for _ in range(5) for one in running.step() if isinstance(one, Failed)]
    assert [type(one.error) for one in ends] == [NonFiniteOutput]
    bias.copy_(kept)
    running.submit(order(1))
    assert any(isinstance(one, Done) for _ in range(99) for one in running.step())


def test_a_large_picture_is_resized_in_calls_whose_time_is_bounded(captioner, monkeypatch) -> None:
    """Everybody's steps wait for each: not all at once, and not where an order joins."""
    large = picture(0, 3000, 1000)
    image = InputFile(file="file_1", pixel_sha256="1", width=3000, height=1000)
    request = ResolvedCaption(image=image, max_tokens=1)
    calls = captioner.calls(request)
    shown = list[torch.Tensor]()

    def look(**inputs):
        shown.append(inputs["pixel_values"])
        return [torch.zeros(1, 1, 32)]

    monkeypatch.setattr(captioner.network.vision_model, "forward", look)
    work = captioner.begin(request, large)
    for number, call in enumerate(calls[:-1]):
        assert not shown
        assert call.height * call.width <= STRIP_PIXELS + 3000
        work.make(number)
    assert [call.operation for call in calls[-2:]] == ["", ""]
    assert torch.equal(shown[0], prepared(large, tiny_blip.SIDE))


def test_no_more_tokens_are_made_than_wanted(captioner: Captioner, folder: Path) -> None:
    for seed in range(6):
        assert said(captioner, order(seed, 2))[0][str(seed)] == stock(folder, seed, 2)[0]


def test_a_picture_is_seen_as_by_its_processor() -> None:
    shown = picture(3)
    square = BlipImageProcessorPil(size={"height": 32, "width": 32})
    expected = square(Image.fromarray(shown), return_tensors="pt")["pixel_values"]
    assert (prepared(shown, 32) - expected).abs().max() < 1e-5


def test_words_are_those_of_a_tokenizer_s_file_too(folder: Path, tmp_path: Path) -> None:
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").unlink(missing_ok=True)
    assert (tmp_path / "tokenizer.json").is_file()
    assert Words.of(tmp_path).pieces == Words.of(folder).pieces


def test_pieces_become_words() -> None:
    numbers = {piece: number for number, piece in enumerate(tiny_blip.VOCABULARY)}
    words = Words(dict(enumerate(tiny_blip.VOCABULARY)))
    tokens = [numbers[one] for one in ["a", "frog", "##s", ",", "green", "##ish", ".", "[SEP]"]]
    assert words.text([*tokens, 10_000]) == "a frogs, greenish."
