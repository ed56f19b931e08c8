"""A prompt goes in, a picture of it comes out."""

import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from latentry.client import Client
from latentry.contracts import Job, JobStatus
from tests.e2e.processes import Stack

RED, BLUE, GREEN, YELLOW = (220, 40, 40), (50, 80, 220), (40, 170, 70), (240, 210, 50)


def picture(client: Client, job: Job, index: int = 0) -> Image.Image:
    return Image.open(io.BytesIO(client.download(job.images[index])))


def is_about(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels.reshape(-1, 3).mean(0) - colour).max() < 40)


@pytest.mark.parametrize(
    ("prompt", "centre", "corner"),
    [
        ("a red circle on a blue background", RED, BLUE),
        ("green square, yellow background", GREEN, YELLOW),
        ("a [green:red:2] circle on a [yellow:blue:1] background", RED, BLUE),
    ],
)
def test_the_picture_shows_what_the_prompt_says(client: Client, prompt, centre, corner) -> None:
    pixels = np.asarray(picture(client, client.generate(prompt, seed=7)))
    assert pixels.shape == (128, 128, 3)
    assert is_about(pixels[56:72, 56:72], centre)
    assert is_about(pixels[:12, :12], corner)


def test_a_style_of_the_bundled_model_is_in_the_picture(client: Client) -> None:
    assert "night" in [style.name for style in client.styles().data]
    prompt = "a {red circle|red ring}"
    job = client.generate(prompt, styles=["night"], prompt_syntax="dynamic", seed=7)
    assert job.request.prompt in (
        "a red circle, black background",
        "a red ring, black background",
    )
    pixels = np.asarray(picture(client, job))
    assert is_about(pixels[:12, :12], (20, 20, 20))
    again = client.generate(**job.request.model_dump(mode="json", exclude_none=True))
    assert again.images[0].seed == 7
    assert np.abs(np.asarray(picture(client, again)).astype(int) - pixels).max() <= 8


def test_a_picture_can_be_drawn_over_in_part_and_extended(client: Client, tmp_path) -> None:
    circle = client.generate("a red circle on a white background", seed=3)
    before = np.asarray(picture(client, circle))
    file, mask = io.BytesIO(), io.BytesIO()
    picture(client, circle).save(file, "PNG")
    halves = np.zeros_like(before)
    halves[64:] = 255
    Image.fromarray(halves).save(mask, "PNG")
    seen = {"image": file.getvalue(), "mask": mask.getvalue()}
    job = client.generate("a blue square on a white background", **seen, seed=4)
    after = np.asarray(picture(client, job))
    assert (after[:64] == before[:64]).all(), "what is not repainted is the picture's own"
    assert is_about(after[70:78, 58:70], BLUE)

    again = client.generate(**job.request.model_dump(mode="json", exclude_none=True))
    assert again.request.image == job.request.image
    assert np.abs(np.asarray(picture(client, again)).astype(int) - after).max() <= 8

    wide = client.generate(
        "a red circle on a white background",
        image=file.getvalue(), extend={"left": 32, "right": 32}, width=192, seed=4,
    )  # fmt: skip
    pixels = np.asarray(picture(client, wide))
    assert pixels.shape == (128, 192, 3)
    assert (pixels[:, 48:-48] == before[:, 16:-16]).all()
    assert is_about(pixels[:, :24], (245, 245, 245))


def test_a_picture_without_a_prompt_is_varied(client: Client) -> None:
    circle = client.generate("a red circle on a white background", seed=3)
    file = io.BytesIO()
    picture(client, circle).save(file, "PNG")
    job = client.generate(image=file.getvalue(), strength=0.2, guidance_scale=1.0, seed=5)
    assert is_about(np.asarray(picture(client, job))[56:72, 56:72], RED)
    assert [image.width for image in job.images] == [128]


def test_an_image_that_ends_early_shows_its_noise_less_the_later_it_ends(client: Client) -> None:
    fields = {"seed": 7, "determinism": "strict", "num_inference_steps": 20}
    prompt = "a red circle on a blue background"
    whole = np.asarray(picture(client, client.generate(prompt, **fields))).astype(int)
    distances = []
    for end in (0.25, 0.5, 0.95):
        job = client.generate(prompt, denoise_end=end, **fields)
        distances.append(np.abs(np.asarray(picture(client, job)).astype(int) - whole).mean())
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 30
    assert distances[-1] < 10


def test_a_job_has_its_times_seeds_and_images(client: Client, stack: Stack) -> None:
    job = client.generate("a frog", seed=3, n=2, metadata={"order": "66"})
    assert job.status is JobStatus.SUCCEEDED
    assert [image.seed for image in job.images] == [3, 4]
    assert job.request.num_inference_steps == 25
    assert job.request.metadata == {"order": "66"}
    assert job.queue_ms is not None
    assert job.run_ms is not None
    assert job.urls.self == f"{stack.url}/v1/generations/{job.id}"
    again = client.get(job.id)
    assert [image.pixel_sha256 for image in again.images] == [
        image.pixel_sha256 for image in job.images
    ]


def test_the_hash_is_the_hash_of_the_pixels(client: Client) -> None:
    job = client.generate("a purple heart on a white background", seed=1)
    pixels = picture(client, job).tobytes()
    assert hashlib.sha256(pixels).hexdigest() == job.images[0].pixel_sha256


def test_a_png_contains_its_request(client: Client) -> None:
    job = client.generate("a star ★ on a black background", seed=11, determinism="strict")
    text = picture(client, job).text
    assert "Seed: 11" in text["parameters"]
    recipe = json.loads(text["latentry"])
    names = ("num_inference_steps", "guidance_scale", "sampler", "determinism")
    fields = {name: recipe[name] for name in names}
    again = client.generate(recipe["prompt"], seed=recipe["seed"], **fields)
    assert again.images[0].pixel_sha256 == job.images[0].pixel_sha256


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_other_formats_show_the_same_picture(client: Client, form: str) -> None:
    job = client.generate("a red circle on a blue background", seed=7, output_format=form)
    image = picture(client, job)
    assert job.images[0].content_type == f"image/{form}"
    assert image.format == form.upper()
    assert is_about(np.asarray(image)[56:72, 56:72], RED)


def test_the_same_request_and_seed_give_the_same_pixels_again(client: Client) -> None:
    # A fast one may share its calls with a probe of another size, which moves a level or so.
    fields = {"seed": 5, "determinism": "strict"}
    jobs = [client.generate("a blue ring on a yellow background", **fields) for _ in range(2)]
    assert jobs[0].id != jobs[1].id
    assert len({job.images[0].pixel_sha256 for job in jobs}) == 1


def test_in_strict_mode_neighbours_do_not_change_a_pixel(client: Client) -> None:
    strict = {"seed": 21, "determinism": "strict", "sampler": "euler"}
    alone = client.generate("an orange cross on a green background", **strict)
    crowd = [
        {"seed": k, "num_inference_steps": 5 + 3 * k, "guidance_scale": [1.0, 3.0, 7.5][k % 3]}
        for k in range(9)
    ]
    with ThreadPoolExecutor(10) as pool:
        others = [pool.submit(client.generate, "a white square", **fields) for fields in crowd]
        again = pool.submit(client.generate, "an orange cross on a green background", **strict)
        assert again.result().images[0].pixel_sha256 == alone.images[0].pixel_sha256
        assert all(other.result().status is JobStatus.SUCCEEDED for other in others)


def test_requests_of_all_sizes_steps_guidances_and_samplers_share_a_worker(client: Client) -> None:
    wishes = [
        {
            "width": [96, 128, 160, 192][k % 4],
            "height": [128, 96][k % 2],
            "num_inference_steps": 4 + k,
            "guidance_scale": 0.5 + k,
            "sampler": ["ddim", "euler"][k % 2],
            "seed": k,
        }
        for k in range(12)
    ]
    with ThreadPoolExecutor(12) as pool:
        jobs = list(pool.map(lambda wish: client.generate("a rabbit", **wish), wishes))
    for wish, job in zip(wishes, jobs, strict=True):
        assert picture(client, job).size == (wish["width"], wish["height"])


def test_prompts_stay_out_of_the_logs(client: Client, stack: Stack) -> None:
    client.generate("a secret yellow triangle", negative_prompt="hush hush")
    assert "secret" not in stack.text_of_logs()
    assert "hush" not in stack.text_of_logs()


def test_the_steps_of_a_picture_go_from_noise_to_it(client: Client) -> None:
    fields = {"seed": 7, "determinism": "strict", "num_inference_steps": 25}
    prompt = "a red circle on a blue background"
    plain = client.generate(prompt, **fields)
    job = client.generate(prompt, **fields, intermediates={"every": 5})
    shown = {
        (output.kind, output.step): np.asarray(Image.open(io.BytesIO(client.download(output))))
        for output in job.outputs
    }
    names = [(output.kind, output.step) for output in job.outputs]
    assert names == [
        *((kind, step) for step in range(5, 30, 5) for kind in ("latent", "predicted")),
        ("image", None),
    ]
    assert job.images[0].pixel_sha256 == plain.images[0].pixel_sha256
    assert (shown["latent", 25] == shown["image", None]).all()
    for step in (15, 20, 25):
        assert is_about(shown["predicted", step][56:72, 56:72], RED)
        assert is_about(shown["predicted", step][:12, :12], BLUE)
    far = [grain(shown["latent", step]) for step in (5, 15, 25)]
    assert far == sorted(far, reverse=True), "less and less noise"
    assert grain(shown["latent", 5]) > 2 * grain(shown["predicted", 5])


def grain(pixels: np.ndarray) -> float:
    """The mean difference of neighbours, which noise makes large."""
    return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())


def test_a_seed_has_one_noise_whatever_the_prompt(client: Client) -> None:
    fields = {"seed": 7, "determinism": "strict", "num_inference_steps": 0}
    jobs = [
        client.generate(prompt, sampler=sampler, **fields)
        for prompt, sampler in (("a red circle", "euler"), ("a green star", "ddim"))
    ]
    first, second = (np.asarray(picture(client, job)) for job in jobs)
    assert np.array_equal(first, second)
    assert grain(first) > 5
