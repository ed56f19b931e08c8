"""OpenAI's own client against the running service, whose engine draws."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import openai
import pytest
from PIL import Image, ImageDraw

from tests.e2e.processes import Stack

SIDE = 128


@pytest.fixture
def sdk(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def opened(b64_json: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(b64_json or "")))


@pytest.fixture
def photo() -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), (20, 40, 200))
    ImageDraw.Draw(image).ellipse((30, 30, 98, 98), fill=(220, 30, 30))
    return image


def test_an_image_is_seen_on_its_way_by_what_it_will_be(sdk: openai.OpenAI) -> None:
    own = {"num_inference_steps": 100, "seed": 4}
    stream = sdk.images.generate(
        prompt="a red circle on a blue background", stream=True, partial_images=3, extra_body=own
    )
    *partial, last = list(stream)
    assert last.type == "image_generation.completed"
    picture = opened(last.b64_json)
    assert 1 <= len(partial) <= 3
    for number, event in enumerate(partial):
        assert event.type == "image_generation.partial_image"
        assert event.partial_image_index == number
        small = opened(event.b64_json)
        assert small.size == picture.size == (SIDE, SIDE)
        assert small.format == event.output_format.upper() == "JPEG"
    # Noise would be farther from it; a stream that sent the finished image would be nearer.
    error = np.abs(np.asarray(opened(partial[-1].b64_json), float) - np.asarray(picture)).mean()
    assert 0 < error < 60
    assert last.usage.total_tokens > 0


def test_what_is_transparent_in_a_mask_is_repainted_and_all_else_kept(
    sdk: openai.OpenAI, photo: Image.Image
) -> None:
    # White throughout: brightness would repaint everything.
    mask = Image.new("RGBA", photo.size, (255, 255, 255, 255))
    mask.paste((255, 255, 255, 0), (0, 0, SIDE // 2, SIDE))
    answer = sdk.images.edit(
        image=png(photo), mask=png(mask), prompt="a green square", response_format="b64_json",
        extra_body={"num_inference_steps": 10, "seed": 1},
    )  # fmt: skip
    drawn = np.asarray(opened(answer.data[0].b64_json))
    kept = np.asarray(photo)
    assert (drawn[:, SIDE // 2 :] == kept[:, SIDE // 2 :]).all()
    assert (drawn[:, : SIDE // 2] != kept[:, : SIDE // 2]).any()


def test_an_opaque_mask_repaints_nothing_and_says_so(
    sdk: openai.OpenAI, photo: Image.Image
) -> None:
    answer = sdk.images.edit(
        image=png(photo), mask=png(Image.new("RGB", photo.size, "white")), prompt="a square",
        response_format="b64_json", extra_body={"num_inference_steps": 4},
    )  # fmt: skip
    assert (np.asarray(opened(answer.data[0].b64_json)) == np.asarray(photo)).all()
    assert [one["code"] for one in answer.model_extra["warnings"]] == ["mask_without_effect"]


def test_an_edit_s_stream_ends_with_its_images(sdk: openai.OpenAI, photo: Image.Image) -> None:
    stream = sdk.images.edit(image=png(photo), prompt="a red star", n=2, stream=True, quality="low")
    events = list(stream)
    assert [event.type for event in events] == ["image_edit.completed"] * 2
    assert {opened(event.b64_json).size for event in events} == {(SIDE, SIDE)}


def test_variations_are_alike_and_no_two_the_same(sdk: openai.OpenAI, photo: Image.Image) -> None:
    with pytest.deprecated_call():
        answer = sdk.images.create_variation(
            image=png(photo), n=2, response_format="b64_json", size="256x256"
        )
    first, second = (np.asarray(opened(one.b64_json), float) for one in answer.data)
    assert first.shape == second.shape
    assert np.abs(first - second).mean() > 0
