"""Captions, greedily: the picture is resized in strips, looked at, and each call makes a token."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import structlog
import torch
from PIL import Image

from latentry.contracts import CaptionerCard, InputFile, ResizeMode, ResolvedCaption
from latentry.contracts.background.captions import MAX_TOKENS
from latentry.errors import ConfigurationError, LatentryError, NonFiniteOutput
from latentry.rules.captioning import caption_calls
from latentry.rules.preprocessing import Operation
from latentry.rules.resizing import Fit, fit
from worker.engine.attempts import Attempts
from worker.engine.background.profile import profile_id
from worker.engine.background.tool import Call
from worker.engine.captioning.blip import fingerprint, read_blip
from worker.engine.captioning.words import Words
from worker.engine.device import Device
from worker.engine.file_state import file_state
from worker.engine.inputs.canvas import Pixels
from worker.engine.inputs.resize import Resizing
from worker.engine.loop.backend import Taken
from worker.engine.models.loading.loading import as_configuration_error
from worker.engine.timing import Timing

log = structlog.get_logger()

# OpenAI's CLIP: its image processor's mean and deviation of each channel, which BLIP has too.
_MEAN: Final = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD: Final = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
_FILTER: Final = Image.Resampling.BICUBIC
_TEST_TOKENS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Captioner:
    """A network in memory, in float32."""

    card: CaptionerCard
    network: Any
    words: Words
    device: torch.device
    timer: Timing
    profile: str
    test_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        """Of its weights in memory."""
        return sum(tensor.nbytes for tensor in self.network.state_dict().values())

    def calls(self, request: ResolvedCaption) -> list[Call]:
        """To resize the picture, to look at it, and of each token."""
        part = self.part(request.image.width, request.image.height)
        resizing = [Call(*one.box.size, Operation.of(one)) for one in part.strips]
        return [*resizing, *(Call(*size) for size in caption_calls(request, self.card))]

    def part(self, width: int, height: int) -> Fit:
        """All of a picture, as the square that the network sees."""
        side = self.card.side
        return fit((width, height), (side, side), ResizeMode.STRETCH)

    def example(self) -> ResolvedCaption:
        """A request for one token."""
        image = InputFile(file="", pixel_sha256="", width=self.card.side, height=self.card.side)
        return ResolvedCaption(image=image, max_tokens=1)

    def begin(self, request: ResolvedCaption, picture: Pixels) -> "Captioning":
        """Begin with RGB bytes [height, width, 3]."""
        return Captioning(self, picture)


class Captioning:
    """One picture, RGB bytes [height, width, 3], and the tokens that were made of it."""

    def __init__(self, captioner: Captioner, picture: Pixels) -> None:
        self._captioner = captioner
        part = captioner.part(picture.shape[1], picture.shape[0])
        self._resizing = Resizing(picture, part, _FILTER)
        self._strips = part.strips  # a large picture takes long, and calls are to be short
        self._seen: Any = None
        self._tokens: list[int] = []
        self.is_done = False

    @torch.inference_mode()
    def make(self, call: int) -> None:
        """Resize a strip, look at the picture, or make one token. Raises NonFiniteOutput."""
        network, device = self._captioner.network, self._captioner.device
        if call < len(self._strips):
            self._resizing.resize(self._strips[call])
        elif self._seen is None:
            shown = prepared(self._resizing.made, self._captioner.card.side).to(device)
            self._seen = network.vision_model(pixel_values=shown)[0]
        else:
            self._add_token(network, device)

    def _add_token(self, network: Any, device: torch.device) -> None:
        config = network.config.text_config
        told = torch.tensor([[config.bos_token_id, *self._tokens]], device=device)
        mask = torch.ones(self._seen.shape[:2], dtype=torch.long, device=device)
        # Without a cache of the tokens before: they are few beside the picture's.
        made = network.text_decoder(
            input_ids=told,
            encoder_hidden_states=self._seen,
            encoder_attention_mask=mask,
            use_cache=False,
        )
        logits = made.logits[0, -1]
        if not bool(logits.isfinite().all()):
            raise NonFiniteOutput("The captioner produced non-finite values.")
        token = int(logits.argmax())
        self.is_done = token == config.sep_token_id
        if not self.is_done:
            self._tokens.append(token)

    def take(self) -> Taken:
        """The caption's UTF-8 bytes."""
        text = self._captioner.words.text(self._tokens)
        return Taken([np.frombuffer(text.encode(), np.uint8)])


def prepared(picture: Pixels, side: int) -> torch.Tensor:
    """RGB bytes [H, W, 3] as transformers' BlipImageProcessor gives them, [1, 3, side, side]."""
    square = Image.fromarray(picture).resize((side, side), _FILTER)
    normal = (np.asarray(square, np.float32) / np.float32(255) - _MEAN) / _STD
    return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))[None]


def open_captioner(
    folder: Path,
    at: Device,
    budget_bytes: int,
    used_bytes: int,
    attempts: Attempts | None = None,
) -> Captioner | None:
    """Load and try it; None, and logged, if it cannot be used.

    `budget_bytes`: of all weights in memory, of which so many are used; 0 sets no bound.
    `attempts`: notes on what the process may die of.
    """
    attempts = attempts or Attempts(None)
    try:
        attempts.begin(folder.name, partial(_identity, folder))
        with as_configuration_error(folder.name), attempts.judged(folder.name):
            captioner = _loaded(folder, at)
        if 0 < budget_bytes < used_bytes + captioner.size_bytes:
            raise ConfigurationError(
                f"Its weights take {captioner.size_bytes} bytes beside {used_bytes} of upscalers;"
                f" LATENTRY_MODEL_MEMORY_BYTES allows {budget_bytes}."
            )
    except (LatentryError, torch.OutOfMemoryError) as error:  # of its first caption too
        log.error("captioner.unusable", captioner=str(folder), why=str(error))
        return None
    log.info("captioner.loaded", captioner=captioner.card.captioner)
    return captioner


def _identity(folder: Path) -> str:
    return repr([(str(one), file_state(one.stat())) for one in sorted(folder.iterdir())])


def _loaded(folder: Path, at: Device) -> Captioner:
    network, words = read_blip(folder), Words.of(folder)
    network = network.to(at.device, torch.float32)
    if len(words.pieces) > network.config.text_config.vocab_size:
        raise ConfigurationError(f"{folder} has more words than its network.")
    if network.config.text_config.max_position_embeddings < MAX_TOKENS:
        raise ConfigurationError(f"Its captions may not have {MAX_TOKENS} tokens.")
    card = CaptionerCard(
        captioner=folder.name,
        fingerprint=fingerprint(network, words.pieces),
        side=network.config.vision_config.image_size,
    )
    profile = profile_id(card.fingerprint, f"torch {torch.__version__}")
    made = Captioner(card, network, words, at.device, Timing(at.device), profile)
    began = perf_counter()
    work = made.begin(made.example(), np.full((card.side, card.side, 3), 128, np.uint8))
    for call in range(_TEST_TOKENS):
        work.make(call)
    return replace(made, test_s=perf_counter() - began)
