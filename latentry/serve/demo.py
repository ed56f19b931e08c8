"""Six images on one sheet, through the SDK."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from latentry.client import AsyncClient
from latentry.contracts import Image
from latentry.errors import ConfigurationError
from latentry.serve.ready import local_client
from latentry.serve.stack import Stack

PROMPTS: Final = (
    "a red circle on a blue background",
    "a green frog on a white background",
    "a small red star at the top left of a blue background",
    "a purple heart on a yellow background",
    "a white rabbit on a black background",
    "a large orange ring on a green background",
)
COLUMNS: Final = 3
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Picture:
    """A prompt, its image and the encoded bytes."""

    prompt: str
    image: Image
    encoded: bytes


def demo_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a separate stack, which shares nothing with others on this machine."""
    data_dir = Path(env.get("LATENTRY_DATA_DIR", ".latentry")) / "demo"
    places = {"LATENTRY_REDIS_URL", "LATENTRY_STORAGE_URL", "LATENTRY_PUBLIC_URL", "LATENTRY_HOST"}
    keys = {"LATENTRY_AUTH", "LATENTRY_BOOTSTRAP_KEY", "LATENTRY_BOOTSTRAP_KEY_FILE"}
    left_out = (*places, *keys, "LATENTRY_REDIS_TLS_")
    return {name: value for name, value in env.items() if not name.startswith(left_out)} | {
        "LATENTRY_DATA_DIR": str(data_dir),
        "LATENTRY_PORT": "0",
        "LATENTRY_METRICS_PORT": "0",
        "LATENTRY_WORKER_METRICS_PORT": "0",
    }


async def generate(stack: Stack) -> list[Picture]:
    """All six images at once; they share the steps of one worker."""
    async with local_client(stack) as client:
        return list(await asyncio.gather(*(_generated(client, prompt) for prompt in PROMPTS)))


def save(pictures: Sequence[Picture], path: Path) -> None:
    """Write the sheet. Raises ConfigurationError if Pillow is missing."""
    try:
        from PIL import Image as Pixels
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            "The sheet needs Pillow: pip install 'latentry[worker]'."
        ) from missing
    tiles = [Pixels.open(io.BytesIO(picture.encoded)) for picture in pictures]
    width, height = tiles[0].size
    sheet = Pixels.new("RGB", (width * COLUMNS, height * (len(tiles) // COLUMNS)))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % COLUMNS * width, index // COLUMNS * height))
    sheet.save(path)


async def _generated(client: AsyncClient, prompt: str) -> Picture:
    job = await client.generate(prompt, seed=SEED)
    image = job.images[0]
    return Picture(prompt, image, await client.download(image))
