"""Prompts to embeddings: equal to stock diffusers' where it has any, else to a chunk by hand."""

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from transformers.models.clip.modeling_clip import CLIPTextModel

from latentry.contracts import PromptSyntax, ResolvedRequest
from tests.worker.engine import tiny
from tests.worker.engine.stock import read_as_open_clip
from tests.worker.engine.tiny import Family
from worker.engine.conditioning import Clip, Conditioner
from worker.engine.conditioning.cache import EmbeddingCache, EmbeddingKey
from worker.engine.conditioning.clip import TextEmbedding, emphasized
from worker.engine.conditioning.tokens import MAX_CHUNKS, Chunk, Tokenizer
from worker.engine.models import clip

PROMPTS = ["", "a red circle", "A Blue  Square, 100%!", "é漢字🐸", "x" * 75, "wow!!! a frog !", "!"]
LONG = "one, two, three, " * 20


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Any]:
    root = tmp_path_factory.mktemp("conditioning")
    kinds = {
        Family.SD1: diffusers.StableDiffusionPipeline,
        Family.SD2: diffusers.StableDiffusionPipeline,
        Family.SDXL: diffusers.StableDiffusionXLPipeline,
        Family.REFINER: diffusers.StableDiffusionXLImg2ImgPipeline,
    }
    made = {
        family: kind.from_pretrained(
            tiny.make(root / family, tiny.EPSILON, family=family), low_cpu_mem_usage=False
        )
        for family, kind in kinds.items()
    }
    for family, pipeline in made.items():
        own = [pipeline.tokenizer, getattr(pipeline, "tokenizer_2", None)]
        read_as_open_clip(pipeline, root / family)
        pipeline.own_tokenizers = own
        # A norm that was never trained makes every token's mean zero, and there is none to restore.
        if pipeline.text_encoder is not None:
            torch.nn.init.normal_(pipeline.text_encoder.final_layer_norm.bias)
    return made


def conditioner(pipeline: Any, **options: Any) -> Conditioner:
    is_xl = hasattr(pipeline, "text_encoder_2")
    first, second = pipeline.own_tokenizers
    encoders = [Clip(first, pipeline.text_encoder, is_xl=is_xl)] if first else []
    if is_xl:
        encoders.append(Clip(second, pipeline.text_encoder_2, is_xl=True))
    options |= {"takes_score": is_xl and not first, "zeros_for_empty": is_xl and bool(first)}
    return Conditioner(encoders, **options)


def request_of(prompt: str, negative: str = "", **changes: Any) -> ResolvedRequest:
    return tiny.request(prompt=prompt, negative_prompt=negative, **changes)


@torch.inference_mode()
def stock(pipeline: Any, prompt: str, negative: str, **options: Any) -> list[torch.Tensor]:
    """Hidden states of the negative prompt and the prompt; then, for SDXL, what is pooled."""
    given = {"prompt": prompt, "device": "cpu", "num_images_per_prompt": 1, **options}
    found = pipeline.encode_prompt(
        **given, do_classifier_free_guidance=True, negative_prompt=negative or None
    )
    hidden, unconditional, *pooled = found
    both = [torch.cat([unconditional, hidden])]
    return [*both, torch.cat(pooled[::-1])] if pooled else both


@pytest.mark.parametrize("syntax", ["weighted", "plain"])
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("family", Family)
def test_a_prompt_of_one_chunk_is_encoded_to_the_bit_as_by_the_stock_pipeline(
    pipelines: dict[Family, Any], family: Family, prompt: str, syntax: str
) -> None:
    pipeline = pipelines[family]
    for negative in ["", "blurred, ugly"]:
        request = request_of(prompt, negative, prompt_syntax=syntax)
        by_call = conditioner(pipeline).condition(request)
        found = by_call.at(0)
        hidden, *pooled = stock(pipeline, prompt, negative)
        assert torch.equal(found.hidden, hidden)
        assert not pooled or torch.equal(found.added["text_embeds"], pooled[0])
        assert found.added.keys() == ({"text_embeds", "time_ids"} if pooled else set())
        assert not by_call.warnings


def test_an_exclamation_mark_is_the_word_that_clip_knows_whatever_pads() -> None:
    """By CLIP's real vocabulary; transformers takes it for the padding token of OpenCLIP's."""
    padded_by_it, plain = clip.tokenizer(pad="!"), clip.tokenizer()
    for prompt in ["wow!", "wow!!!", "! a cat !", "a!b", "<|endoftext|>!"]:
        (ours,) = Tokenizer(padded_by_it, 77).tokenize(prompt, PromptSyntax.WEIGHTED).chunks
        (same,) = Tokenizer(plain, 77).tokenize(prompt, PromptSyntax.WEIGHTED).chunks
        assert ours.ids[: ours.length] == same.ids[: same.length]
        words = plain(prompt, add_special_tokens=False).input_ids
        assert list(ours.ids) == [49406, *words, 49407, *[0] * (75 - len(words))]
    (published,) = Tokenizer(padded_by_it, 77).tokenize("! !! !!!", PromptSyntax.PLAIN).chunks
    assert published.ids[:6] == (49406, 256, 748, 995, 49407, 0)  # open_clip's, in diffusers#4153


@pytest.mark.parametrize("skip", [1, 2])
def test_sdxl_skips_the_layers_that_stock_skips(pipelines: dict[Family, Any], skip: int) -> None:
    pipeline = pipelines[Family.SDXL]
    found = conditioner(pipeline).condition(request_of("a red circle", clip_skip=skip)).at(0)
    hidden, pooled = stock(pipeline, "a red circle", "", clip_skip=skip)
    assert torch.equal(found.hidden, hidden)
    assert torch.equal(found.added["text_embeds"], pooled)
    assert not torch.equal(hidden, stock(pipeline, "a red circle", "")[0])


@pytest.mark.parametrize("family", [Family.SD1, Family.SD2])
def test_clip_skip_leaves_out_the_last_layers_and_keeps_the_norm(
    pipelines: dict[Family, Any], family: Family
) -> None:
    """Stock has no working clip_skip with transformers 5; an encoder without them does the same."""
    pipeline = pipelines[family]
    layers = pipeline.text_encoder.config.num_hidden_layers
    for skip in range(1, layers + 1):
        shorter = CLIPTextModel(pipeline.text_encoder.config)
        shorter.load_state_dict(pipeline.text_encoder.state_dict())
        shorter.eval().encoder.layers = shorter.encoder.layers[: layers - skip]
        ids = pipeline.tokenizer("a frog", padding="max_length", return_tensors="pt").input_ids
        with torch.inference_mode():
            expected = shorter(ids).last_hidden_state
        found = (
            conditioner(pipeline).condition(request_of("a frog", "a frog", clip_skip=skip)).at(0)
        )
        assert torch.equal(found.hidden, expected.repeat(2, 1, 1))


@torch.inference_mode()
def by_hand(pipeline: Any, texts: list[str], weights: dict[str, float]) -> torch.Tensor:
    """Each text a chunk; the tokens of the words named weigh so much, and the mean is restored."""
    chunks = []
    for text in texts:
        tokens = pipeline.tokenizer(text, padding="max_length", return_tensors="pt")
        hidden = pipeline.text_encoder(tokens.input_ids).last_hidden_state[0]
        scale = torch.ones(77, 1)
        words, at = text.split(), 1
        for word in words:
            count = len(pipeline.tokenizer(word, add_special_tokens=False).input_ids)
            scale[at : at + count] = weights.get(word, 1.0)
            at += count
        weighted = hidden * scale
        chunks.append(weighted * (hidden.mean() / weighted.mean()) if weights else hidden)
    return torch.cat(chunks)


@pytest.mark.parametrize("family", [Family.SD1, Family.SD2])
def test_weights_multiply_the_words_they_stand_at(
    pipelines: dict[Family, Any], family: Family
) -> None:
    pipeline = pipelines[family]
    found = (
        conditioner(pipeline)
        .condition(
            request_of("a (red:1.5) circle [on] ((white:0.5)) BREAK (night:-1)", guidance_scale=1.0)
        )
        .at(0)
    )
    weights = {"red": 1.5, "on": 1 / 1.1, "white": 0.55, "night": -1.0}
    expected = by_hand(pipeline, ["a red circle on white", "night"], weights)
    torch.testing.assert_close(found.hidden[0], expected)
    plain = by_hand(pipeline, ["a red circle on white", "night"], {})
    assert not torch.allclose(found.hidden[0], plain, atol=1e-2)


def test_weights_that_cancel_the_mean_leave_finite_numbers(pipelines: dict[Family, Any]) -> None:
    for prompt in ["(" + "x" * 75 + ":0)", "(a:-10) (b:10)", "(a:10)"]:
        for family in pipelines:
            found = conditioner(pipelines[family]).condition(request_of(prompt)).at(0)
            assert found.hidden.isfinite().all()


def test_a_mean_that_weights_make_zero_is_not_restored() -> None:
    chunk = Chunk(ids=(1, 2), weights=(3.0, -1.0), length=2)
    hidden = torch.tensor([[1.0], [3.0]])
    assert emphasized(hidden, chunk).tolist() == [[3.0], [-3.0]]


def test_the_pooled_embedding_of_sdxl_is_the_first_chunks_and_knows_no_weights(
    pipelines: dict[Family, Any],
) -> None:
    pipeline = pipelines[Family.SDXL]
    found = (
        conditioner(pipeline)
        .condition(request_of("a (red:1.4) frog BREAK night", "fog BREAK rain"))
        .at(0)
    )
    assert torch.equal(found.added["text_embeds"], stock(pipeline, "a red frog", "fog")[1])


@pytest.mark.parametrize("family", [Family.SD1, Family.SD2])
def test_a_long_prompt_is_encoded_chunk_by_chunk(
    pipelines: dict[Family, Any], family: Family
) -> None:
    pipeline = pipelines[family]
    found = conditioner(pipeline).condition(request_of("x" * 100, guidance_scale=1.0)).at(0)
    words = pipeline.tokenizer("x" * 100, add_special_tokens=False).input_ids
    begin, end = pipeline.tokenizer.bos_token_id, pipeline.tokenizer.eos_token_id
    pad = pipeline.own_tokenizers[0].pad_token_id
    with torch.inference_mode():
        first = pipeline.text_encoder(torch.tensor([[begin, *words[:75], end]]))
        rest = pipeline.text_encoder(torch.tensor([[begin, *words[75:], end, *[pad] * 50]]))
    expected = torch.cat([first.last_hidden_state, rest.last_hidden_state], dim=1)
    assert torch.equal(found.hidden, expected)


def test_a_phrase_that_the_end_of_a_chunk_would_split_moves_to_the_next(
    pipelines: dict[Family, Any],
) -> None:
    pipeline = pipelines[Family.SD1]
    split = (
        conditioner(pipeline)
        .condition(request_of("x" * 70 + ", a red frog", guidance_scale=1.0))
        .at(0)
    )
    apart = (
        conditioner(pipeline)
        .condition(request_of("x" * 70 + ", BREAK a red frog", guidance_scale=1))
        .at(0)
    )
    assert torch.equal(split.hidden, apart.hidden)
    # A comma too far back moves nothing, nor does one that would begin the next chunk itself.
    for first, rest in [("x" * 50 + "," + "y" * 24, " z"), ("x" * 70 + ",yyyy", ", z")]:
        whole = conditioner(pipeline).condition(request_of(first + rest, guidance_scale=1.0)).at(0)
        begins = conditioner(pipeline).condition(request_of(first, guidance_scale=1.0)).at(0)
        assert torch.equal(whole.hidden[:, :77], begins.hidden)
        assert whole.hidden.shape[1] == 2 * 77


@pytest.mark.parametrize("family", Family)
def test_the_shorter_prompt_is_padded_with_empty_chunks(
    pipelines: dict[Family, Any], family: Family
) -> None:
    subject = conditioner(pipelines[family])
    request = request_of("a BREAK b BREAK c", "fog")
    assert subject.chunks(request) == 3
    found = subject.condition(request).at(0)
    assert found.hidden.shape[:2] == (2, 3 * 77)
    fog = subject.condition(request_of("fog", "fog BREAK")).at(0)
    assert torch.equal(found.hidden[0, :77], fog.hidden[0])
    empty = subject.condition(request_of("", guidance_scale=1.0)).at(0).hidden[0]
    assert torch.equal(found.hidden[0, 77:], empty.repeat(2, 1))
    for prompt, chunks in [("", 1), ("BREAK", 1), ("a BREAK", 1), ("BREAK a", 2), (LONG, 4)]:
        assert subject.chunks(request_of(prompt, guidance_scale=1.0)) == chunks


def test_without_guidance_the_negative_prompt_is_not_encoded(pipelines: dict[Family, Any]) -> None:
    subject = conditioner(pipelines[Family.SD1])
    request = request_of("a frog", LONG * 20, guidance_scale=1.0)
    assert subject.chunks(request) == 1
    assert subject.condition(request).at(0).hidden.shape[0] == 1
    assert not subject.condition(request).warnings


def test_what_does_not_fit_is_left_out_with_a_warning_that_says_where(
    pipelines: dict[Family, Any],
) -> None:
    room = 75 * MAX_CHUNKS
    subject = conditioner(pipelines[Family.SD1])
    by_call = subject.condition(request_of("x" * room + " lost", "y" * room))
    found = by_call.at(0)
    (warning,) = by_call.warnings
    assert warning.code == "prompt_truncated"
    assert warning.message.startswith("The prompt takes more than 8 chunks of 75 tokens;")
    assert warning.message.split(": ")[1].replace(" ", "") == "lost"
    assert found.hidden.shape == (2, 77 * MAX_CHUNKS, 32)
    assert torch.equal(
        found.hidden, subject.condition(request_of("x" * room, "y" * room)).at(0).hidden
    )
    (negative,) = subject.condition(
        request_of("x", " BREAK ".join("abcdefgh") + " BREAK" * 3 + " k")
    ).warnings
    assert negative.message.startswith("The negative prompt")
    assert negative.message.endswith(": k")
    (long,) = subject.condition(request_of("x, " * 400)).warnings
    assert long.message.endswith(": x , x , x , x , …")


def test_syntax_of_other_programs_is_read_as_text_with_a_warning(
    pipelines: dict[Family, Any],
) -> None:
    subject = conditioner(pipelines[Family.SD1])
    prompt, negative = "a cat <lora:fur:0.8> at 10:30", "[fog:rain:mist:0.5] AND snow"
    first, second, third = subject.condition(request_of(prompt, negative)).warnings
    assert {one.code for one in (first, second, third)} == {"prompt_syntax_unsupported"}
    assert first.message == (
        "The negative prompt contains [fog:rain:mist:0.5] (a prompt schedule), which is not "
        "supported and was read as text; remove it, or set prompt_syntax to plain if it is text."
    )
    assert second.message.startswith("The prompt contains <lora:fur:0.8> (an adapter), which")
    assert third.message.startswith("The prompt contains :30 (a weight of the whole prompt), which")
    for quiet in (
        request_of(prompt, negative, prompt_syntax="plain"),
        request_of("a cat BREAK a (dog:1.2)", "[fog]"),
        request_of("[a cat:a dog:2] AND [fog|rain] :2", "[fog:rain:.5] AND [a|b]"),
        request_of("a cat", negative, guidance_scale=1.0),
    ):
        assert subject.condition(quiet).warnings == ()


def test_sizes_and_crop_are_in_diffusers_order(pipelines: dict[Family, Any]) -> None:
    pipeline = pipelines[Family.SDXL]
    subject = conditioner(pipeline)
    plain = subject.condition(request_of("a frog", width=96, height=64)).at(0).added["time_ids"]
    assert plain.tolist() == [[64, 96, 0, 0, 64, 96]] * 2
    request = request_of(
        "a frog", original_size=(512, 768), crops_coords_top_left=(16, 32), target_size=(100, 200)
    )
    expected = pipeline._get_add_time_ids(
        (512, 768),
        (16, 32),
        (100, 200),
        torch.float32,
        pipeline.text_encoder_2.config.projection_dim,
    )
    assert torch.equal(subject.condition(request).at(0).added["time_ids"], expected.repeat(2, 1))


def test_what_was_encoded_lately_is_not_encoded_again(
    pipelines: dict[Family, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    encode = Clip.encode
    monkeypatch.setattr(
        Clip, "encode", lambda self, *given: (calls.append(given), encode(self, *given))[1]
    )
    subject = conditioner(pipelines[Family.SDXL])
    first = subject.condition(request_of("a frog", "fog BREAK rain")).at(0)
    assert len(calls) == 2 * 4
    again = subject.condition(request_of("a frog", "fog BREAK rain")).at(0)
    assert len(calls) == 2 * 4
    assert torch.equal(first.hidden, again.hidden)
    subject.condition(request_of("a frog", "fog BREAK rain", clip_skip=1))
    assert len(calls) == 2 * 8


def test_the_cache_keeps_to_its_bytes_and_drops_the_least_recently_used() -> None:
    made = []

    def make(name: str) -> TextEmbedding:
        made.append(name)
        return TextEmbedding(torch.zeros(25), None)

    def key(name: str) -> EmbeddingKey:
        return EmbeddingKey(0, Chunk((ord(name),), (1.0,), length=1), clip_skip=None)

    cache = EmbeddingCache(250)
    for name in ["a", "b", "a", "c", "a", "b"]:
        cache.get(key(name), lambda name=name: make(name))
        assert cache.size_bytes <= 250
    assert made == ["a", "b", "c", "b"]
    cache.get(key("x"), lambda: TextEmbedding(torch.zeros(100), torch.zeros(1)))
    assert cache.size_bytes == 0


def test_the_cache_of_a_model_does_not_grow_with_prompts(pipelines: dict[Family, Any]) -> None:
    subject = conditioner(pipelines[Family.SDXL], cache_bytes=100_000)
    for number in range(20):
        subject.condition(request_of(f"frog {number}"))
    assert 0 < subject.cache.size_bytes <= 100_000


def test_an_attention_mask_is_given_to_the_models_that_were_trained_with_one(
    tmp_path: Path, pipelines: dict[Family, Any]
) -> None:
    pipeline = pipelines[Family.SD2]
    pipeline.text_encoder.config.use_attention_mask = True
    try:
        found = conditioner(pipeline).condition(request_of("a frog", "fog")).at(0)
        assert torch.equal(found.hidden, stock(pipeline, "a frog", "fog")[0])
    finally:
        pipeline.text_encoder.config.use_attention_mask = False
    assert not torch.equal(found.hidden, stock(pipeline, "a frog", "fog")[0])
