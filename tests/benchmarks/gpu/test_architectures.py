import pytest
import torch

from benchmarks.gpu.architectures import SD15, SDXL, Config, blueprint, build, shrunk
from worker.engine.device import Device


@pytest.mark.parametrize(
    ("configs", "part", "millions"),
    [
        (SD15, "unet", 859.5),
        (SD15, "text_encoder", 123.1),
        (SD15, "vae", 83.7),
        (SDXL, "unet", 2567.5),
        (SDXL, "text_encoder_2", 694.7),
    ],
)
def test_the_networks_have_as_many_weights_as_the_published_ones(
    configs: dict[str, Config], part: str, millions: float
) -> None:
    make = blueprint("random", configs).parts[part].make
    with torch.device("meta"):
        network = make()
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("configs", [SD15, SDXL])
def test_random_weights_draw_finite_pictures(configs: dict[str, Config]) -> None:
    at = Device.choose("cpu", "float32")
    stack, networks = build(blueprint("random", shrunk(configs)), at)
    assert stack.card.defaults.width == 64
    for network in networks.values():
        assert all(parameter.isfinite().all() for parameter in network.parameters())
        assert any(parameter.std() > 0 for parameter in network.parameters())
