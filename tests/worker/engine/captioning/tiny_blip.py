"""A BLIP captioning model of random weights, as transformers writes it."""

from pathlib import Path

import torch
from torch import nn
from transformers import BlipConfig, BlipForConditionalGeneration

SIDE, SEP, BOS = 32, 3, 44
_WORDS = [
    "a",
    "red",
    "blue",
    "green",
    "small",
    "large",
    "circle",
    "star",
    "frog",
    "on",
    "in",
    "the",
    "and",
    "of",
    "white",
    "black",
]
VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *_WORDS,
    *("##s", "##ish", ".", ",", "'", "s", "n't", "!"),
    *(f"word{number}" for number in range(BOS - 5 - len(_WORDS) - 8)),
)


def write(folder: Path) -> Path:
    """Its folder, with a vocabulary of which the first special one is beyond the words."""
    part = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }  # fmt: skip
    text = part | {
        "vocab_size": BOS + 2, "max_position_embeddings": 96, "bos_token_id": BOS,
        "sep_token_id": SEP, "encoder_hidden_size": 32,
    }  # fmt: skip
    vision = part | {"image_size": SIDE, "patch_size": 8}
    made = BlipForConditionalGeneration(BlipConfig(vision_config=vision, text_config=text))
    _fill(made)
    made.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


def _fill(network: nn.Module) -> None:
    """With weights that tell pictures apart, as their own are nearly nothing, and end sentences."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if "norm" in name.lower():
                tensor.fill_(float(name.endswith("weight")))
            elif tensor.ndim >= 2:
                tensor.normal_(0, 2 / tensor.shape[-1] ** 0.5)
            else:
                tensor.normal_(0, 0.3)
        network.get_submodule("text_decoder.bert.embeddings.position_embeddings").weight.normal_()
