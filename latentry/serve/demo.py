"""Six pictures on a sheet, through the SDK."""

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
    """One drawn prompt, with the encoded bytes."""

    prompt: str
    image: Image
    encoded: bytes


def beside(env: Mapping[str, str]) -> dict[str, str]:
    """An environment for a stack of its own, which another one on this machine does not disturb."""
    data_dir = Path(env.get("LATENTRY_DATA_DIR", ".latentry")) / "demo"
    places = {"LATENTRY_REDIS_URL", "LATENTRY_STORAGE_URL", "LATENTRY_PUBLIC_URL", "LATENTRY_HOST"}
    keys = {"LATENTRY_AUTH", "LATENTRY_BOOTSTRAP_KEY", "LATENTRY_BOOTSTRAP_KEY_FILE"}
    theirs = places | keys
    return {name: value for name, value in env.items() if name not in theirs} | {
        "LATENTRY_DATA_DIR": str(data_dir),
        "LATENTRY_PORT": "0",
        "LATENTRY_METRICS_PORT": "0",
        "LATENTRY_WORKER_METRICS_PORT": "0",
    }


async def draw(stack: Stack) -> list[Picture]:
    """All six at once; they share the steps of one worker."""
    async with local_client(stack) as client:
        return list(await asyncio.gather(*(_drawn(client, prompt) for prompt in PROMPTS)))


def save(pictures: Sequence[Picture], path: Path) -> None:
    """Write the sheet."""
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


async def _drawn(client: AsyncClient, prompt: str) -> Picture:
    job = await client.generate(prompt, seed=SEED)
    image = job.images[0]
    return Picture(prompt, image, await client.download(image))
