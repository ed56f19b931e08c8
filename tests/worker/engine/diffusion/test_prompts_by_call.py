"""Prompts that change with the call, and AND: equal to a plain loop that does what they say."""

import inspect
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentry.contracts import Sampler
from tests.latentry.rules import webui
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.diffusion.test_from_pictures import from_picture
from tests.worker.engine.oracle import MODELS
from tests.worker.engine.stock import Stock
from tests.worker.engine.trajectories import begun, drawn
from worker.batching import Costs
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Failed, Order

pytestmark = stock.WARNINGS

SHAPES = Path("models/shapes")
PROMPTS: dict[str, dict[str, Any]] = {
    "schedule": {"prompt": "a [red:blue:0.5] circle"},
    "added": {"prompt": "a circle[ on white:2]", "negative_prompt": "[blur::.3]"},
    "alternation": {"prompt": "a [red|blue|green] circle", "negative_prompt": "[fog|rain]"},
    "nested": {"prompt": "[a [cow|horse]:[a dog:a cat:3]:0.4]"},
    "composition": {"prompt": "a cat AND a dog :0.7 AND snow :-0.4"},
    "everything": {"prompt": "[a cat|a dog] AND [fog:snow:2] :1.3", "negative_prompt": "[x:y:1]"},
    "without guidance": {"prompt": "[a|b] AND c :0.6", "guidance_scale": 1.0},
}
QUICK = [Sampler.DDIM, Sampler.PNDM, Sampler.HEUN]
NAMES = ["sd1-epsilon", "sd2-v", "sdxl-epsilon"]


def order(which: str, **changes: Any) -> Order:
    fields = {
        "model": NAMES[0], "negative_prompt": "blur", "guidance_scale": 2.0,
        "num_inference_steps": 5, "seed": 11,
    }  # fmt: skip
    return tiny.order(which, **(fields | PROMPTS[which] | changes))


class Plain:
    """A loop over a stock scheduler's calls that encodes and asks anew at each of them."""

    def __init__(self, reference: Stock, order: Order) -> None:
        self.request, self.seed = order.request, order.seed
        self.pipeline: Any = reference.pipeline(self.request.model)
        self.scheduler = stock.scheduler(
            MODELS[self.request.model].config, self.request.sampler, self.request.spacing
        )
        two_calls = self.request.sampler in (Sampler.HEUN, Sampler.DPM2, Sampler.DPM2_A)
        self.steps = self.request.num_inference_steps * (2 if two_calls else 1)

    @torch.inference_mode()
    def draw(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        self.scheduler.set_timesteps(self.request.num_inference_steps)
        x = torch.randn(1, 4, 8, 8, generator=generator) * self.scheduler.init_noise_sigma
        options = {"generator": generator, "eta": stock.ETA.get(self.request.sampler, 0.0)}
        known = inspect.signature(self.scheduler.step).parameters
        options = {name: value for name, value in options.items() if name in known}
        for call, t in enumerate(self.scheduler.timesteps):
            m = self.guided(self.scheduler.scale_model_input(x, t), t, call)
            x = self.scheduler.step(m, t, x, **options).prev_sample
        return x[0]

    def guided(self, x: torch.Tensor, t: torch.Tensor, call: int) -> torch.Tensor:
        """As combine_denoised: the sum over subprompts of weight · scale · what they add."""
        scale = self.request.guidance_scale
        outputs = [
            (self.unet(x, t, webui.text_at(text, self.steps, call)), weight)
            for text, weight in webui.composition(self.request.prompt)
        ]
        if scale > 1:
            negative = webui.text_at(self.request.negative_prompt, self.steps, call)
            base = self.unet(x, t, negative)
        else:  # as where there the negative prompt's row is left out
            base, scale = outputs[0][0], 1.0
        m = base.clone()
        for output, weight in outputs:
            m += (output - base) * (weight * scale)
        return m

    def unet(self, x: torch.Tensor, t: torch.Tensor, text: str) -> torch.Tensor:
        hidden, _, *pooled = self.pipeline.encode_prompt(
            text, do_classifier_free_guidance=False, device="cpu", num_images_per_prompt=1
        )
        added = None
        if pooled:
            sizes = torch.tensor([[64, 64, 0, 0, 64, 64]])
            added = {"text_embeds": pooled[0], "time_ids": sizes.float()}
        output = self.pipeline.unet(x, t, encoder_hidden_states=hidden, added_cond_kwargs=added)
        sample: torch.Tensor = output.sample
        return sample


@pytest.fixture
def engine(every_model: Diffusion) -> Engine:
    return Engine(every_model)


@pytest.mark.parametrize(
    "sampler",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.oracle) for one in Sampler],
)
@pytest.mark.parametrize("which", PROMPTS)
def test_a_picture_equals_the_plain_loop(
    engine: Engine, reference: Stock, which: str, sampler: Sampler
) -> None:
    """Each of the families has its turn."""
    turn = (list(PROMPTS).index(which) + list(Sampler).index(sampler)) % len(NAMES)
    wanted = order(which, sampler=sampler, model=NAMES[turn])
    assert stock.error(oracle.alone(engine, wanted), Plain(reference, wanted).draw()) <= 1


@pytest.mark.parametrize("seed", range(2))
def test_pictures_in_a_mixed_crowd_equal_the_plain_loop(
    engine: Engine, reference: Stock, seed: int
) -> None:
    """Beside pictures whose prompts stay, which equal the stock pipelines as ever."""
    chance = random.Random(seed)
    mine = [
        order(which, model=chance.choice(NAMES), determinism=chance.choice(["fast", "strict"]))
        for which in PROMPTS
    ]
    others = [
        replace(one, request=one.request.model_copy(update={"model": chance.choice(NAMES)}))
        for one in (oracle.any_order(f"job-{number}", chance) for number in range(7))
    ]
    crowd = [*mine, *others]
    chance.shuffle(crowd)
    latents = oracle.in_a_crowd(engine, crowd, chance)
    by_job = {one.job: one for one in crowd}
    assert len(latents.keys() & PROMPTS.keys()) > len(PROMPTS) / 2
    for job, latent in latents.items():
        if job in PROMPTS:
            assert stock.error(latent, Plain(reference, by_job[job]).draw()) <= 1, job
        else:
            verdict = oracle.judge(latent, by_job[job], reference)
            assert not oracle.missed({job: verdict})


@pytest.mark.parametrize("which", ["alternation", "everything"])
@pytest.mark.parametrize("sampler", ["ddim", "heun"])
def test_a_picture_goes_on_from_every_call_to_the_same_last_bit(
    every_model: Diffusion, which: str, sampler: str
) -> None:
    wanted = order(which, sampler=sampler, determinism="strict", guidance_stop=0.7)
    whole = drawn(every_model, begun(every_model, wanted))
    for k in range(begun(every_model, wanted).calls_left):
        started = begun(every_model, wanted)
        for _ in range(k):
            every_model.advance([started], started.key.bucket)
        resumed = begun(every_model, replace(wanted, checkpoint=every_model.save(started)))
        assert resumed.calls == k
        assert drawn(every_model, resumed).equal(whole)


def test_calls_are_counted_from_the_first_that_is_made(every_model: Diffusion) -> None:
    """As AUTOMATIC1111 does where an image starts from a picture: four of seven are made here."""
    started = from_picture("job", NAMES[0], Sampler.DDIM, prompt="[a:b:2]")
    one = begun(every_model, started)
    conditioner = every_model.models[NAMES[0]].conditioner
    texts = {
        text: conditioner.condition(order("schedule", prompt=text).request).at(0).hidden[1]
        for text in "ab"
    }
    seen = ""
    while one.calls_left:
        hidden = one.active_conditioning.hidden[1]
        seen += next(text for text, expected in texts.items() if hidden.equal(expected))
        every_model.advance([one], one.rows)
    assert seen == "aaab"


def test_parts_without_the_negative_prompt_are_composed_where_guidance_has_stopped(
    every_model: Diffusion,
) -> None:
    """At weights 0 and 1 the composition is its second part, whatever the first one is."""
    wanted = order("composition", prompt="a cat :0 AND a dog", guidance_stop=0.5)
    composed = begun(every_model, wanted)
    alone = begun(every_model, order("composition", prompt=" a dog", guidance_stop=0.5))
    assert [composed.rows, alone.rows] == [3, 2]
    difference = drawn(every_model, composed) - drawn(every_model, alone)
    assert [composed.rows, alone.rows] == [2, 1]
    assert difference.abs().max() < 1e-4


def test_guidance_is_rescaled_to_the_contrast_of_the_composition(every_model: Diffusion) -> None:
    options = {"guidance_rescale": 0.7, "guidance_scale": 4.0}
    composed = begun(every_model, order("composition", prompt="a cat :0 AND a dog", **options))
    alone = begun(every_model, order("composition", prompt=" a dog", **options))
    plain = begun(every_model, order("composition", prompt=" a dog", guidance_scale=4.0))
    latent = drawn(every_model, composed)
    assert (latent - drawn(every_model, alone)).abs().max() < 1e-4
    assert (latent - drawn(every_model, plain)).abs().max() > 1e-3


def test_features_are_reused_row_by_row_for_every_part(every_model: Diffusion) -> None:
    options = {"cache_interval": 2, "guidance_stop": 0.6, "num_inference_steps": 6}
    composed = begun(every_model, order("composition", prompt="a cat :0 AND a dog", **options))
    alone = begun(every_model, order("composition", prompt=" a dog", **options))
    difference = drawn(every_model, composed) - drawn(every_model, alone)
    assert difference.abs().max() < 1e-4


def test_all_texts_of_a_picture_have_the_chunks_of_the_longest(every_model: Diffusion) -> None:
    """So its key stays, and each text is what a picture with that prompt alone would have."""
    longer = "x" * 80
    one = begun(every_model, order("schedule", prompt=f"[a:{longer}:2]"))
    assert one.key.chunks == 2
    first, last = (one.current.conditioning.at(call) for call in (0, 4))
    conditioner = every_model.models[NAMES[0]].conditioner
    padded = conditioner.condition(order("schedule", prompt="a BREAK").request).at(0)
    alone = conditioner.condition(order("schedule", prompt=longer).request).at(0)
    assert first.hidden[0].equal(last.hidden[0])
    assert first.hidden[1, :77].equal(padded.hidden[1, :77])
    assert last.hidden.equal(alone.hidden)
    assert one.current.conditioning.at(3) is last, "stacked once for all calls that share it"


def test_an_image_of_more_rows_than_a_worker_may_make_fails_by_name(
    every_model: Diffusion,
) -> None:
    engine = Engine(every_model, Costs(max_rows=3))
    engine.submit(order("composition"))
    engine.submit(order("schedule"))
    events = tiny.drain(engine)
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert (failed.job, failed.error.code) == ("composition", "invalid_prompt")
    assert "takes 4 rows" in failed.error.message
    assert [event.job for event in events if isinstance(event, Done)] == ["schedule"]


@pytest.fixture(scope="module")
def shapes() -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("shapes", SHAPES)
    return backend


def test_pictures_show_what_such_prompts_say(shapes: Diffusion) -> None:
    """The square is wider than the circle at its corners; what alternates is mixed."""
    circle, square = "a red circle on white", "a blue square on white"
    prompts = {
        "early": f"[{circle}:{square}:0.1]",
        "late": f"[{circle}:{square}:0.9]",
        "mixed": "a [red|blue] circle on white",
        "both": f"{circle} AND {square}",
        "hardly": f"{circle} AND {square} :0.2",
    }
    engine = Engine(shapes)
    for job, prompt in prompts.items():
        options = {"width": 128, "height": 128, "guidance_scale": 2.0, "seed": 1}
        engine.submit(
            tiny.order(job, model="shapes", prompt=prompt, num_inference_steps=16, **options)
        )
    shown = tiny.pixels(tiny.drain(engine))
    reds, blues = {}, {}
    for job, pixels in shown.items():
        reds[job], _, blues[job] = np.asarray(pixels)[56:72, 56:72].reshape(-1, 3).mean(0)
    corner = {job: np.asarray(pixels)[44:47, 45:48].mean() for job, pixels in shown.items()}
    assert corner["early"] < 150 < 180 < corner["mixed"]
    assert blues["early"] > 160 > 100 > reds["early"]
    assert reds["late"] > 160 > 100 > blues["late"]
    for job in ("mixed", "both"):
        assert min(reds[job], blues[job]) > 100, job
    assert reds["hardly"] > 160 > 100 > blues["hardly"]
