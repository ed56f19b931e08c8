"""Ways in which a worker needs less memory, each for a price."""

from enum import StrEnum


class LowMemory(StrEnum):
    """What is kept smaller, or elsewhere. Tiles change pixels a little, and so may offloading."""

    VAE_SLICES = "vae_slices"  # one picture per call of the VAE
    VAE_TILES = "vae_tiles"  # a picture in tiles that overlap
    TEXT_ENCODERS = "text_encoders"  # in the device's memory only while they encode
    OFFLOAD = "offload"  # the UNet in the computer's memory, on the GPU layer by layer


def parse_low_memory(text: str) -> frozenset[LowMemory]:
    """The ways that a comma-separated setting names. Raises ValueError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = ", ".join(LowMemory)
    for name in names:
        if name not in set(LowMemory):
            raise ValueError(f"{name!r} is not one of {known}")
    return frozenset(map(LowMemory, names))
