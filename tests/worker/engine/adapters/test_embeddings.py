"""Prompts that name embeddings, against stock that has them in its tables of tokens."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPTokenizer
from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection

from latentry.contracts import Determinism, Embedding, Sampler, Spacing
from latentry.errors import EngineError
from latentry.low_memory import LowMemory
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters import vectors, written
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn, dressed
from tests.worker.engine.conftest import serving, sharing
from tests.worker.engine.stock import Stock
from worker.engine.adapters.file import AdapterFile
from worker.engine.conditioning.tokens import MAX_CHUNKS
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order
from worker.engine.loop.messages import Towards

pytestmark = stock.WARNINGS
MODELS = ["sd1-epsilon", "sd2-epsilon", "sdxl-epsilon"]
NAME, WORD = "Easy Negative-5", "<e0>"  # ours, and stock's, which reads capitals as no word
PROMPTS = {  # of ours, and what stock reads
    "bare": ("a frog, easy negative-5 on white", "a frog, <e0> on white"),
    "in brackets": ("a frog <Easy Negative-5>, on white", "a frog <e0>, on white"),
    "as ComfyUI has it": ("embedding:EASY NEGATIVE-5.pt on white", "<e0> on white"),
    "twice": ("<easy negative-5> and Easy Negative - 5", "<e0> and <e0>"),
    "alone": ("Easy Negative-5", "<e0>"),
}
Make = Callable[..., "Spoken"]


class Spoken:
    """An embedding as a file, and as it is said."""

    def __init__(self, path: Path, found: vectors.Vectors, id: str = NAME) -> None:
        self.path, self.vectors = path, found
        sha256 = AdapterFile.read(path).sha256
        self.embedding = Embedding(id=id, sha256=sha256, vectors=len(found[0]))

    def named(self, backend: Diffusion, order: Order) -> Order:
        files = {self.embedding.sha256: self.path}
        adapters = backend.adapters.load(order.request.model, files)
        embeddings = (*order.request.embeddings, self.embedding)
        request = order.request.model_copy(update={"embeddings": embeddings})
        return replace(order, request=request, adapters={**order.adapters, **adapters})


@pytest.fixture(scope="module")
def make(reference: Stock, tmp_path_factory: pytest.TempPathFactory) -> Make:
    def made(
        model: str,
        layout: str = "a1111",
        count: int = 3,
        *,
        seed: int = 1,
        id: str = NAME,
        dtype: torch.dtype = torch.float32,
    ) -> Spoken:
        found = vectors.drawn(reference.pipeline(model), count, seed)
        weights = {key: one.to(dtype) for key, one in vectors.file(found, layout).items()}
        path = written.save(weights, tmp_path_factory.mktemp("spoken") / "a.safetensors")
        return Spoken(path, tuple(one.to(dtype).float() for one in found), id)

    return made


@pytest.fixture
def engine(every_model: Diffusion) -> Engine:
    return Engine(every_model)


def drawn(model: str, prompt: str, **changes: Any) -> Order:
    fields = {"num_inference_steps": 3, "guidance_scale": 2.0, "prompt": prompt} | changes
    return oracle.order("job", model, Sampler.EULER, Spacing.DEFAULT, **fields)


def error(
    reference: Stock, latent: torch.Tensor, order: Order, known: dict[str, Spoken], **said: Any
) -> float:
    """How far it is from stock's with these words, in tolerances."""
    request = order.request.model_copy(update=said)
    with vectors.words(
        reference.pipeline(request.model), {word: one.vectors for word, one in known.items()}
    ):
        return stock.error(latent, reference.draw(request.model_dump_json(), order.seed))


@pytest.mark.parametrize("how", PROMPTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_name_means_what_its_vectors_mean_to_stock(
    engine: Engine, reference: Stock, make: Make, model: str, how: str
) -> None:
    ours, theirs = PROMPTS[how]
    spoken = make(model)
    order = spoken.named(engine.backend, drawn(model, ours, negative_prompt=f"{ours}, blur"))
    latent = oracle.alone(engine, order)
    said = {"prompt": theirs, "negative_prompt": f"{theirs}, blur"}
    assert error(reference, latent, order, {WORD: spoken}, **said) <= 1
    plain = replace(order, request=order.request.model_copy(update={"embeddings": ()}))
    assert stock.error(latent, oracle.alone(engine, plain)) > 100, "it changes the picture"


@pytest.mark.parametrize("model", MODELS)
def test_what_is_pooled_is_as_stock_pools_it(
    engine: Engine, reference: Stock, make: Make, model: str
) -> None:
    spoken, pipeline = make(model, count=7), reference.pipeline(model)
    order = spoken.named(engine.backend, drawn(model, f"a {NAME}, x", negative_prompt=NAME))
    trajectory, _ = engine.backend.begin(order, engine.backend.plan(order))
    found = trajectory.active_conditioning
    with vectors.words(pipeline, {WORD: spoken.vectors}), torch.inference_mode():
        hidden, negative, *pooled = pipeline.encode_prompt(
            f"a {WORD}, x", device="cpu", num_images_per_prompt=1, negative_prompt=WORD,
            do_classifier_free_guidance=True,
        )  # fmt: skip
    torch.testing.assert_close(found.hidden, torch.cat([negative, hidden]))
    if pooled:
        torch.testing.assert_close(found.added["text_embeds"], torch.cat(pooled[::-1]))


@pytest.mark.parametrize("skip", [1, 2])
def test_clip_skip_skips_with_embeddings_too(
    engine: Engine, reference: Stock, make: Make, skip: int
) -> None:
    """Of SDXL: for the other families stock has none that works."""
    model = MODELS[2]
    spoken, pipeline = make(model), reference.pipeline(model)
    order = drawn(model, f"a {NAME}", clip_skip=skip, guidance_scale=1.0)
    order = spoken.named(engine.backend, order)
    trajectory, _ = engine.backend.begin(order, engine.backend.plan(order))
    with vectors.words(pipeline, {WORD: spoken.vectors}), torch.inference_mode():
        hidden, *_ = pipeline.encode_prompt(f"a {WORD}", device="cpu", clip_skip=skip)
    torch.testing.assert_close(trajectory.active_conditioning.hidden, hidden)


@pytest.mark.parametrize("layout", ["a1111", "diffusers", "diffusers, one vector", "a bare word"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_layout_and_dtype_is_read(
    engine: Engine, reference: Stock, make: Make, layout: str, dtype: torch.dtype
) -> None:
    spoken = make(MODELS[0], layout, 1, dtype=dtype)
    order = spoken.named(engine.backend, drawn(MODELS[0], f"a {NAME}"))
    latent = oracle.alone(engine, order)
    assert error(reference, latent, order, {WORD: spoken}, prompt=f"a {WORD}") <= 1


@pytest.mark.parametrize("seed", range(2))
def test_many_embeddings_in_a_churning_crowd(
    engine: Engine, reference: Stock, make: Make, seed: int
) -> None:
    chance = random.Random(seed)
    known = {
        model: {f"<e{k}>": make(model, count=k + 1, seed=k, id=f"Name {k}") for k in range(3)}
        for model in (MODELS[0], MODELS[2])
    }
    orders, said = [], {}
    for number in range(14):
        model = chance.choice(sorted(known))
        words = chance.sample(range(3), chance.choice([0, 1, 2, 3]))
        text, theirs = (" and ".join(f"{it}{k}" for k in words) for it in ("name ", "<e"))
        order = drawn(
            model, f"a {text}, frog", num_inference_steps=chance.choice([3, 5]), seed=number,
            guidance_scale=chance.choice([1.0, 2.0]), negative_prompt="",
            determinism=chance.choice(["fast", "strict"]),
        )  # fmt: skip
        order = replace(order, job=f"job-{number}")
        for k in words:
            order = known[model][f"<e{k}>"].named(engine.backend, order)
        theirs = " and ".join(f"<e{k}>" for k in words)
        said[order.job] = f"a {theirs}, frog"
        orders.append(order)
    latents = oracle.in_a_crowd(engine, orders, chance)
    assert len(latents) > len(orders) // 2
    by_job = {order.job: order for order in orders}
    errors = {
        job: error(reference, one, by_job[job], known[by_job[job].request.model], prompt=said[job])
        for job, one in latents.items()
    }
    assert {job: found for job, found in errors.items() if found > 1} == {}


def hidden(backend: Diffusion, order: Order) -> torch.Tensor:
    trajectory, _ = backend.begin(order, backend.plan(order))
    return trajectory.active_conditioning.hidden[-1]


@torch.inference_mode()
def by_hand(pipeline: Any, words: list[str], weights: list[float] | None = None) -> torch.Tensor:
    """A chunk of these words of stock's, each token with a weight, and the mean restored."""
    tokenizer, encoder = pipeline.tokenizer, pipeline.text_encoder
    ids = [one for word in words for one in tokenizer(word, add_special_tokens=False).input_ids]
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    padding = 75 - len(ids)
    states = encoder(torch.tensor([[begin, *ids, end, *[end] * padding]])).last_hidden_state[0]
    if weights is None:
        return states
    scaled = states * torch.tensor([1.0, *weights, 1.0, *[1.0] * padding])[:, None]
    return scaled * (states.mean() / scaled.mean())


def said(count: int, word: str = WORD) -> list[str]:
    """A word's vectors as stock names them one by one."""
    return [word, *(f"{word}_{k}" for k in range(1, count))]


def test_a_weight_is_of_all_its_vectors(engine: Engine, reference: Stock, make: Make) -> None:
    spoken, pipeline = make(MODELS[0], count=4), reference.pipeline(MODELS[0])
    order = drawn(MODELS[0], f"(a [{NAME}] cow:1.4), ({NAME}:-0.5)")
    found = hidden(engine.backend, spoken.named(engine.backend, order))
    with vectors.words(pipeline, {WORD: spoken.vectors}):
        words = ["a", *said(4), "cow", ",", *said(4)]
        weights = [1.4, *[1.4 / 1.1] * 4, *[1.4] * 3, 1.0, *[-0.5] * 4]
        torch.testing.assert_close(found, by_hand(pipeline, words, weights))


@pytest.mark.parametrize(
    ("prompt", "chunks"),
    [
        # 72 tokens and four vectors: all of them begin the next chunk, and a word goes on there.
        ("x" * 72 + f" {NAME} y", [["x" * 72], [*said(4), "y"]]),
        ("x" * 71 + f" {NAME} y", [["x" * 71, *said(4)], ["y"]]),
        # A full chunk ends at its last comma, if that is near; the vectors come along.
        ("x" * 69 + f", {NAME}, yy", [["x" * 69, ",", *said(4), ","], ["yy"]]),
        ("x" * 60 + f", {NAME} {NAME} y" + "z" * 9, [
            ["x" * 60, ","], [*said(4), *said(4), "y" + "z" * 9]]),
        # Not full when the vectors come: nothing is carried.
        ("x" * 66 + f", yyyyy {NAME}", [["x" * 66, ",", "yyyyy"], said(4)]),
        (f"{NAME} BREAK {NAME}", [said(4), said(4)]),
    ],
)  # fmt: skip
def test_vectors_are_tokens_and_are_never_divided(
    engine: Engine, reference: Stock, make: Make, prompt: str, chunks: list[list[str]]
) -> None:
    """By AUTOMATIC1111's tokenize_line (modules/sd_hijack_clip.py)."""
    spoken, pipeline = make(MODELS[0], count=4), reference.pipeline(MODELS[0])
    order = spoken.named(engine.backend, drawn(MODELS[0], prompt, negative_prompt=""))
    found = hidden(engine.backend, order)
    with vectors.words(pipeline, {WORD: spoken.vectors}):
        expected = torch.cat([by_hand(pipeline, words) for words in chunks])
    torch.testing.assert_close(found, expected)


def test_what_does_not_fit_is_named_in_a_warning(engine: Engine, make: Make) -> None:
    spoken = make(MODELS[0], count=75)
    order = spoken.named(engine.backend, drawn(MODELS[0], f"{NAME} " * (MAX_CHUNKS + 1) + "lost"))
    _, [warning] = engine.backend.begin(order, engine.backend.plan(order))
    assert warning.code == "prompt_truncated"
    assert warning.message.endswith(f"left out: {NAME}")
    fits = spoken.named(engine.backend, drawn(MODELS[0], f"{NAME} " * MAX_CHUNKS))
    assert engine.backend.begin(fits, engine.backend.plan(fits))[1] == []


def test_an_unknown_name_in_brackets_is_a_warning(engine: Engine, make: Make) -> None:
    spoken = make(MODELS[0])
    order = drawn(MODELS[0], f"<{NAME}> <cat-toy>", negative_prompt=f"embedding:{NAME} a <3 b")
    order = spoken.named(engine.backend, order)
    _, [warning] = engine.backend.begin(order, engine.backend.plan(order))
    assert warning.code == "unknown_embedding"
    assert warning.message == (
        "The prompt names <cat-toy>, and the model had no such embedding when the request was"
        " accepted; it was read as text."
    )


def test_in_a_plain_prompt_only_listed_ones_are_read(engine: Engine, make: Make) -> None:
    spoken = make(MODELS[0])
    plain = drawn(MODELS[0], f"a ({NAME}:1.2)", prompt_syntax="plain")
    named = spoken.named(engine.backend, plain)
    assert not torch.equal(hidden(engine.backend, named), hidden(engine.backend, plain))
    unknown = drawn(MODELS[0], "a <cat-toy>", prompt_syntax="plain")
    assert engine.backend.begin(unknown, engine.backend.plan(unknown))[1] == []


def test_a_frame_between_two_pictures_has_those_of_both(
    engine: Engine, reference: Stock, make: Make
) -> None:
    first, last = make(MODELS[0], seed=1), make(MODELS[0], count=2, seed=2)
    order = first.named(engine.backend, drawn(MODELS[0], f"a {NAME}"))
    other = last.named(engine.backend, drawn(MODELS[0], f"a cow {NAME}"))
    between = replace(
        order,
        towards=Towards(other.request, 0.25),
        adapters={**order.adapters, **other.adapters},
    )
    states = []
    for spoken, words in ((first, ["a", *said(3)]), (last, ["a", "cow", *said(2)])):
        pipeline = reference.pipeline(MODELS[0])
        with vectors.words(pipeline, {WORD: spoken.vectors}):
            states.append(by_hand(pipeline, words))
    found = hidden(engine.backend, between)
    torch.testing.assert_close(found, torch.lerp(states[0], states[1], 0.25))
    strict = [
        replace(one, request=one.request.model_copy(update={"determinism": Determinism.STRICT}))
        for one in (order, between)
    ]
    begun = [engine.backend.begin(one, engine.backend.plan(one))[0] for one in strict]
    profiles = {engine.backend.profile(one) for one in begun}
    assert len(profiles) == 2, "it names the files of both"


def test_prompts_are_remembered_by_content(every_model: Diffusion, make: Make) -> None:
    """Two files under one name never share a memory, and one file under two names does."""
    backend = sharing(every_model)
    conditioner = backend.models[MODELS[0]].conditioner
    order = drawn(MODELS[0], f"only here {NAME}", guidance_scale=1.0)
    one, other = make(MODELS[0], seed=1), make(MODELS[0], seed=2)
    twin = Spoken(one.path, one.vectors, id="Twin")
    before = conditioner.cache.size_bytes
    plain = hidden(backend, order)
    each = conditioner.cache.size_bytes - before
    states = [hidden(backend, spoken.named(every_model, order)) for spoken in (one, other)]
    assert conditioner.cache.size_bytes - before == 3 * each
    assert not any(torch.equal(a, b) for a, b in [(plain, states[0]), states, (plain, states[1])])
    again = drawn(MODELS[0], "only here twin", guidance_scale=1.0)
    assert torch.equal(hidden(backend, twin.named(every_model, again)), states[0])
    assert conditioner.cache.size_bytes - before == 3 * each


def test_a_checkpoint_is_of_its_file(every_model: Diffusion, make: Make) -> None:
    """Another file under the same id begins anew, and has another profile."""
    backend = sharing(every_model)
    plain = drawn(MODELS[0], f"a {NAME}", determinism="strict")
    orders = [make(MODELS[0], seed=seed).named(every_model, plain) for seed in (1, 1, 2)]
    begun = [backend.begin(order, backend.plan(order))[0] for order in orders]
    profiles = [backend.profile(one) for one in begun]
    assert profiles[0] == profiles[1] != profiles[2]
    backend.advance([begun[0]], 8)
    saved = backend.save(begun[0])
    for order, calls in ((orders[1], 1), (orders[2], 0)):
        resumed, _ = backend.begin(replace(order, checkpoint=saved), backend.plan(order))
        assert resumed.calls == calls


def test_a_lora_of_the_text_encoder_applies_to_its_vectors(
    folders: dict[str, Path], tailor: Tailor, make: Make
) -> None:
    """The order of the two does not matter, and each changes the states."""
    backend = serving({"epsilon": folders["epsilon"]})
    worn = [Worn(tailor(21, networks=("unet", "text_encoder")), 0.8)]
    plain = tiny.order("job", model="epsilon", prompt=f"a {NAME}", guidance_scale=1.0)
    spoken = make(MODELS[0])
    with_lora = dressed(backend, plain, worn)
    both = spoken.named(backend, with_lora)
    orders = [plain, with_lora, spoken.named(backend, plain), both]
    states = [hidden(backend, order) for order in orders]
    for number, one in enumerate(states):
        assert not any(torch.equal(one, other) for other in states[number + 1 :])
    assert torch.equal(hidden(backend, plain), states[0]), "nothing stays behind"


def test_a_text_encoder_that_only_visits_reads_them_too(
    folders: dict[str, Path], make: Make
) -> None:
    spoken, states = make(MODELS[0]), []
    for low_memory in (frozenset(), frozenset({LowMemory.TEXT_ENCODERS})):
        backend = Diffusion(device="cpu", dtype="float32", threads=1, low_memory=low_memory)
        backend.load("epsilon", folders["epsilon"])
        order = tiny.order("job", model="epsilon", prompt=f"a {NAME}", guidance_scale=1.0)
        states.append(hidden(backend, spoken.named(backend, order)))
    assert torch.equal(*states)


def test_a_refiner_reads_the_vectors_of_its_encoder(
    every_folder: dict[str, Path], make: Make, tmp_path: Path
) -> None:
    """SDXL's second, whichever is the first one of the model before."""
    backend = serving({MODELS[2]: every_folder[MODELS[2]]})
    folder = tiny.make(tmp_path / "m", tiny.EPSILON, family=tiny.Family.REFINER)
    backend.load("refiner", folder)
    spoken = make(MODELS[2])
    fields = {"refiner": "refiner", "refiner_switch_at": 0.5, "guidance_scale": 1.0}
    order = drawn(MODELS[2], f"a {NAME}", **fields)
    named = spoken.named(backend, order)
    trajectory, _ = backend.begin(named, backend.plan(named))
    found = trajectory.passes[1].conditioning.at(0).hidden[0]
    encoder = CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer_2")
    ids = tokenizer("a", add_special_tokens=False).input_ids
    table = encoder.get_input_embeddings().weight.data
    begin, end = encoder.config.bos_token_id, encoder.config.eos_token_id
    rest = torch.tensor([begin, *ids, *[0] * 3, end, *[0] * 71])
    states = torch.nn.functional.embedding(rest, table)
    states[2:5] = spoken.vectors[1]
    encoder.get_input_embeddings().register_forward_hook(lambda *_: states[None])
    with torch.inference_mode():
        expected = encoder(rest[None], output_hidden_states=True).hidden_states[-2][0]
    torch.testing.assert_close(found, expected)


def test_hooks_are_gone_after_a_call_that_failed(
    every_model: Diffusion, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    [clip] = every_model.models[MODELS[0]].conditioner.encoders
    order = make(MODELS[0]).named(every_model, drawn(MODELS[0], f"a new {NAME}"))
    monkeypatch.setattr(clip, "_final_layer_norm", None)
    skipping = replace(order, request=order.request.model_copy(update={"clip_skip": 1}))
    with pytest.raises(EngineError):
        every_model.begin(skipping, every_model.plan(skipping))
    assert not clip.model.embeddings.token_embedding._forward_hooks
