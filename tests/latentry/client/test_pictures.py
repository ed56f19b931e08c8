"""Pictures as callers have them, as the bytes that are sent."""

import io
import subprocess
import sys
import threading
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image as Pillow

from latentry import ConfigurationError, InvalidRequest
from latentry.client.http.connections import Connection
from latentry.client.pictures import images_read, picture_bytes, reference_of
from latentry.contracts import GenerationRequest
from latentry.testing import FakeService


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 7), "L"), ((5, 7, 1), "L"), ((5, 7, 3), "RGB"), ((5, 7, 4), "RGBA")]
)
def test_an_array_of_bytes_is_sent_as_it_is(shape, mode):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    sent = Pillow.open(io.BytesIO(picture_bytes(array)))
    assert (sent.format, sent.mode, sent.size) == ("PNG", mode, (7, 5))
    assert np.array_equal(np.asarray(sent), array.squeeze())


def test_an_array_is_read_by_its_order_and_not_by_its_place_in_memory():
    array = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(3, 5, 7).transpose(1, 2, 0)[::-1]
    assert not array.flags.c_contiguous
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(picture_bytes(array)))), array)


def test_what_the_service_gave_is_a_picture_of_the_next_request():
    with FakeService().client() as client:
        job = client.generate("a frog")
        image, file = job.images[0], client.upload(job.images[0])
        assert picture_bytes(image) == image.read() == client.download(file)
        assert reference_of(file) == file.id
        for picture in (image, job.outputs[0], file):
            assert client.upscale(picture).kind == "upscale"
            assert client.generate("a fish", image=picture).done
        with pytest.raises(InvalidRequest, match=r"image: A picture must be .*, not Job"):
            client.generate("a fish", image=job)


async def test_an_image_of_an_asyncio_client_says_how_it_is_read():
    fake = FakeService()
    async with fake.async_client() as client:
        image = (await client.generate("a frog")).images[0]
        with (
            fake.client() as blocking,
            pytest.raises(ConfigurationError, match=r"image\.aread\(\)"),
        ):
            blocking.upscale(image)


@pytest.mark.parametrize("of", ["a blocking client", "its own"])
async def test_an_asyncio_client_awaits_the_images_that_it_is_given(monkeypatch, of):
    fake, read_in, read = FakeService(), [], Connection._read

    def noted(connection, image):
        read_in.append(threading.get_ident())
        return read(connection, image)

    monkeypatch.setattr(Connection, "_read", noted)
    async with fake.async_client() as client:
        image = (await client.generate("a frog")).images[0]
        if of != "its own":
            with fake.client() as blocking:
                image = blocking.generate("a frog").images[0]
        request = {"prompt": "a fish", "image": image}
        for name in ("generate", "submit", "estimate"):
            await getattr(client, name)(**request)
        for name in ("upscale", "control", "caption"):
            for method in (name, f"submit_{name}", f"estimate_{name}"):
                await getattr(client, method)(image)
        for name in ("interpolate", "submit_interpolation", "estimate_interpolation"):
            await getattr(client, name)(request, "a bird", 4, via=[request])
        for name in ("map", "submit_all"):
            [done] = await getattr(client, name)(iter([request]), mask=image)
            assert done.request.mask is not None
        assert [event async for event in client.stream(**request)]
        assert (await client.upload(image)).id
        assert (await client.verify(image)).content_type
        adapters = {"controls": [{"id": "canny", "image": image}]}
        assert await images_read(adapters) == {
            "controls": [{"id": "canny", "image": await image.aread()}]
        }
    assert bool(read_in) is (of != "its own")
    assert threading.get_ident() not in read_in


async def test_a_named_tuple_is_a_field_of_an_asyncio_client_too():
    size = namedtuple("Size", "height width")
    assert await images_read({"target_size": size(64, 128)}) == {"target_size": (64, 128)}


def test_keyframes_may_be_prompts():
    with FakeService().client() as client:
        way = client.interpolate("a frog", "a fish", 4, via=["a bird"]).request.interpolation
        assert [one.prompt for one in (*way.via, way.to)] == ["a bird", "a fish"]
        for one in ("a bird", {"prompt": "a bird"}, GenerationRequest(prompt="a bird")):
            with pytest.raises(InvalidRequest, match=r"via: .* must be a list") as caught:
                client.interpolate("a frog", "a fish", 4, via=one)
            assert caught.value.fields.keys() == {"/via"}


def test_true_is_white_in_a_mask():
    mask = np.array([[True, False], [False, True]])
    sent = np.asarray(Pillow.open(io.BytesIO(picture_bytes(mask))))
    assert sent.tolist() == [[255, 0], [0, 255]]


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((4, 4, 3), np.float32), r"not float32.*\(array \* 255\)"),
        (np.zeros((4, 4, 3), np.uint16), "must be uint8.*not uint16"),
        (np.zeros((3, 4, 5), np.uint8), r"array\.transpose\(1, 2, 0\)"),
        (np.zeros((4, 4, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((0, 4), np.uint8), r"not \(0, 4\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "must have the shape"),
        (np.zeros(4, np.uint8), "must have the shape"),
    ],
)
def test_an_array_that_could_mean_several_pictures_is_refused_with_what_to_do(array, advice):
    with pytest.raises(InvalidRequest, match=advice):
        picture_bytes(array)


def test_an_array_goes_into_a_request_like_any_picture():
    array = np.zeros((4, 4), np.uint8)
    assert reference_of(array).startswith("data:application/octet-stream;base64,iVBOR")


def test_numpy_is_not_imported_for_those_who_have_no_array():
    loaded = "import sys, latentry; latentry.Client; print('numpy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["missing.png", "http://shop.example/a.png"])
def test_a_name_of_nothing_is_refused_with_what_it_could_have_been(name):
    with FakeService().client() as client:
        with pytest.raises(InvalidRequest, match=f"image: There is no file {name}; nor") as refused:
            client.generate("a frog", image=name)
        with pytest.raises(InvalidRequest, match="image: There is no file"):
            client.generate("a frog", controls=[{"id": "canny", "image": name}])
    assert refused.value.fields.keys() == {"/image"}


def test_a_picture_in_base64_is_refused_without_repeating_it():
    with pytest.raises(InvalidRequest, match="base64") as caught:
        reference_of("iVBORw0KGgo" * 10_000)
    assert len(caught.value.message) < 300


def test_the_refusal_of_a_picture_says_where_it_is():
    control = {"id": "edges", "image": "nowhere.png"}
    with FakeService().client() as client, pytest.raises(InvalidRequest) as caught:
        client.generate("a frog", controls=[control])
    assert list(caught.value.fields) == ["/controls/0/image"]
    assert caught.value.message.startswith("controls.0.image: There is no file nowhere.png")
