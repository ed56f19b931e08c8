"""A mark in the pixels: what it withstands, and where it is not found."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from latentry.provenance.confined import watermark
from latentry.provenance.confined.process import detect as detect_confined
from latentry.provenance.confined.watermark import _block_means, detect, embed
from tools.watermark import CHANGES, luma, psnr


def photo(seed: int, height: int = 512, width: int = 512) -> np.ndarray:
    """Noise whose power falls with frequency as that of photographs does, in colour."""
    dice = np.random.default_rng(seed)
    spectrum = np.fft.fft2(dice.normal(size=(3, height, width)))
    down, right = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    spectrum /= np.maximum(np.hypot(down, right), 1 / max(height, width)) ** 1.2
    grey = np.fft.ifft2(spectrum).real
    mixed = grey[:1] * 0.8 + grey * 0.2
    scaled = (mixed - mixed.mean()) / mixed.std() * 50 + 120
    return scaled.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("change", CHANGES)
def test_it_withstands_what_is_done_to_pictures(change: str, seed: int) -> None:
    pixels, payload = photo(seed), 12_345 + seed * 9_999
    marked = embed(pixels, payload)
    assert psnr(pixels, marked) >= 40
    assert detect(luma(CHANGES[change](marked))) == payload


@pytest.mark.parametrize("payload", [0, 1, 0x7FFF, 0xFFFF])
def test_every_payload_comes_back(payload: int) -> None:
    assert detect(luma(embed(photo(5), payload))) == payload


@pytest.mark.parametrize("size", [(512, 768), (500, 333), (1024, 1024)])
def test_pictures_of_other_sizes_are_marked_alike(size: tuple[int, int]) -> None:
    pixels = photo(6, *size)
    marked = embed(pixels, 77)
    assert marked.shape == pixels.shape
    assert detect(luma(marked)) == 77


@pytest.mark.parametrize("size", [(1, 1), (7, 640), (300, 200), (512, 512)])
def test_it_is_added_alike_in_bands_and_at_once(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of strict jobs have the same bits whatever is quickest."""
    pixels = photo(7, *size)
    in_bands = embed(pixels, 1_234)
    monkeypatch.setattr(watermark, "_BAND", 2**30)
    assert np.array_equal(in_bands, embed(pixels, 1_234))


@pytest.mark.parametrize("size", [(512, 512), (8, 1024), (1024, 16), (2048, 24)])
def test_the_means_of_blocks_are_those_of_numpy_to_the_bit(size: tuple[int, int]) -> None:
    luma = photo(8, *size)[..., 1].astype(np.float32) / 3
    means = luma.reshape(size[0] // 8, 8, -1, 8).mean((1, 3))
    assert np.array_equal(_block_means(luma), means)


def test_a_picture_of_one_colour_is_marked_too() -> None:
    assert detect(luma(embed(np.full((512, 512, 3), 128, np.uint8), 4_711))) == 4_711


def test_unmarked_pictures_have_none() -> None:
    for seed in range(20):
        assert detect(luma(photo(100 + seed, 256, 256))) is None
    assert detect(np.zeros((512, 512), np.uint8)) is None
    assert detect(np.zeros((8, 8), np.uint8)) is None


def test_equal_pictures_get_equal_pixels() -> None:
    assert np.array_equal(embed(photo(7), 9), embed(photo(7).copy(), 9))


@pytest.mark.parametrize("payload", [0, 0x0F70, 0xFFFF])
def test_patterns_are_shifted_as_numpy_rolls_them(payload: int) -> None:
    for number, value in enumerate(watermark._bytes(payload), 1):
        rolled = np.roll(watermark._patterns()[number], watermark._shift(value), (0, 1))
        assert np.array_equal(watermark._shifted(number, value), rolled)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_the_confined_detector_finds_it_in_a_file(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(embed(photo(8), 321)).save(file, form, quality=80)
    found = detect_confined(file.getvalue(), 512 * 512)
    assert found is not None
    assert found.payload == 321


def test_it_finds_none_in_what_it_may_not_or_cannot_decode() -> None:
    file = io.BytesIO()
    Image.fromarray(embed(photo(8), 321)).save(file, "PNG")
    assert detect_confined(file.getvalue(), 512 * 511) is None
    assert detect_confined(file.getvalue()[:5000], 512 * 512) is None


def test_it_needs_numpy_alone() -> None:
    loaded = "import sys, latentry.provenance.confined.watermark; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "c2pa", "PIL", "scipy"} & set(told)
