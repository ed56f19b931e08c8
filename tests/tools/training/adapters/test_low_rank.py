"""LoRAs as tools.adapt makes them: terms beside layers, and kohya-ss's files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tools.training.adapters import low_rank
from tools.training.adapters.dreambooth import difference
from tools.training.adapters.low_rank import Form, LowRank


class Block(nn.Module):
    """Modules with the names of a UNet's and of a text encoder's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.attentions = nn.ModuleList([nn.ModuleDict({"to_q": nn.Linear(6, 4)})])
        self.resnets = nn.ModuleList([nn.ModuleDict({"conv1": nn.Conv2d(3, 4, 3, padding=1)})])
        self.conv_in = nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        query: torch.Tensor = self.attentions[0]["to_q"](x)
        return query.sum() + self.resnets[0]["conv1"](picture).square().sum()


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(4, 4)])})


@pytest.fixture
def unet() -> nn.Module:
    return nn.ModuleDict({"down": Block()})


FORM = Form(rank=2, alpha=1, conv_rank=4, text_rank=3)
INPUTS = (torch.ones(1, 6), torch.ones(1, 3, 5, 5))


def changed(terms: nn.ModuleDict) -> nn.ModuleDict:
    torch.manual_seed(4)
    for term in terms.values():
        assert isinstance(term, LowRank)
        nn.init.normal_(term.up.weight)
        nn.init.normal_(term.down.weight)
    return terms


def test_layers_have_kohya_names_and_the_ranks_that_are_asked_for(unet: nn.Module) -> None:
    terms = low_rank.build(low_rank.layers(unet, Encoder()), FORM)
    ranks = {name: len(term.down.weight) for name, term in terms.items()}
    assert ranks == {
        "lora_unet_down_attentions_0_to_q": 2,
        "lora_unet_down_resnets_0_conv1": 4,
        "lora_te_text_model_encoder_layers_0": 3,
    }
    assert {term.scale for term in terms.values()} == {0.5}
    few = low_rank.build(low_rank.layers(unet, Encoder()), Form(rank=2, alpha=1))
    assert list(few) == ["lora_unet_down_attentions_0_to_q"]


def test_untrained_terms_change_nothing_and_trained_ones_leave_no_trace(unet: nn.Module) -> None:
    layers = low_rank.layers(unet)
    terms = low_rank.build(layers, FORM)
    plain = unet["down"](*INPUTS)
    with low_rank.attached(terms, layers):
        assert torch.equal(unet["down"](*INPUTS), plain)
    with low_rank.attached(changed(terms), layers):
        assert not torch.allclose(unet["down"](*INPUTS), plain)
    assert torch.equal(unet["down"](*INPUTS), plain)


def test_a_file_says_alpha_and_metadata_and_is_read_as_written(
    unet: nn.Module, tmp_path: Path
) -> None:
    layers = low_rank.layers(unet)
    terms, file = changed(low_rank.build(layers, FORM)), tmp_path / "a" / "one.safetensors"
    low_rank.save(low_rank.tensors(terms), file, {"ss_network_dim": 2, "modelspec.title": "One"})
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"ss_network_dim": "2", "modelspec.title": "One"}
        name = "lora_unet_down_attentions_0_to_q"
        assert opened.get_tensor(f"{name}.alpha").item() == 1
        assert opened.get_tensor(f"{name}.lora_down.weight").shape == (2, 6)
    with low_rank.attached(terms, layers, 0.5):
        wanted = unet["down"](*INPUTS)
    with low_rank.attached(low_rank.load(file, layers), layers, 0.5):
        torch.testing.assert_close(unet["down"](*INPUTS), wanted, rtol=1e-2, atol=1e-2)


def test_the_difference_of_two_models_is_a_lora(unet: nn.Module) -> None:
    after = nn.ModuleDict({"down": Block()})
    with torch.no_grad():
        for weight in after.parameters():
            if weight.ndim > 1:
                weight += 0.1 * torch.randn_like(weight)
        after["down"].conv_in.load_state_dict(unet["down"].conv_in.state_dict())
    terms = difference(unet, after, Form(rank=4, alpha=2, conv_rank=4))
    with low_rank.attached(terms, low_rank.layers(unet)):
        torch.testing.assert_close(unet["down"](*INPUTS), after["down"](*INPUTS))
    assert json.dumps(sorted(terms)) == json.dumps(sorted(low_rank.layers(unet)))
