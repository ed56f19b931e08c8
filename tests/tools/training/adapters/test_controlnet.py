"""The ControlNet's data and its form."""

import random

import torch
from diffusers import UNet2DConditionModel

from tools.scenes.checker import detect
from tools.scenes.drawing import draw
from tools.training.adapters import controlnet
from tools.training.parts import load_part
from tools.training.unet import noise_schedule


def test_untrained_it_changes_nothing_and_it_fits_in_six_megabytes() -> None:
    net, unet = controlnet.build(), load_part(UNet2DConditionModel, "unet")
    assert sum(weight.numel() for weight in net.parameters()) * 2 < 5.95e6
    torch.manual_seed(1)
    latents, words = torch.randn(2, 4, 16, 16), torch.randn(2, 77, 128)
    given = {"timestep": torch.tensor([900, 10]), "encoder_hidden_states": words}
    with torch.no_grad():
        added = net(latents, **given, controlnet_cond=torch.rand(2, 3, 128, 128))
        plain = unet(latents, **given).sample
        led = unet(
            latents,
            **given,
            down_block_additional_residuals=added.down_block_res_samples,
            mid_block_additional_residual=added.mid_block_res_sample,
        ).sample
    assert torch.equal(led, plain)


def test_things_are_anywhere_and_their_captions_do_not_say_where() -> None:
    rng = random.Random(2)
    scenes = [controlnet.sample_free(rng) for _ in range(40)]
    found = [detect(draw(scene)).objects for scene in scenes]
    assert all(len(objects) == 1 for objects in found)
    assert len({objects[0].position for objects in found}) == 9
    assert {objects[0].size for objects in found} == {"small", "medium", "large"}
    assert {thing.position for scene in scenes for thing in scene.things} == {"centre"}


def test_the_loss_reaches_the_controlnet_alone() -> None:
    net, unet = controlnet.build(), load_part(UNet2DConditionModel, "unet")
    torch.manual_seed(3)
    batch = controlnet.Batch(
        torch.randn(2, 4, 16, 16), torch.randn(2, 77, 128), torch.rand(2, 3, 128, 128)
    )
    controlnet.loss_of(net, unet, noise_schedule(), batch).backward()  # type: ignore[no-untyped-call]
    assert net.controlnet_mid_block.weight.grad is not None
    assert all(weight.grad is None for weight in unet.parameters())
