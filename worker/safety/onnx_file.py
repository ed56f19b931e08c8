"""A classifier in an ONNX file, run by ONNX Runtime on one thread of the processor.

Beside `name.onnx` lies `name.json`: its `labels`, and what its pictures and scores need: `mean` and
`std` of each channel (0 and 1), `activation` (`none`, `sigmoid` or `softmax`), `crop` (the middle,
as CLIP has it, instead of the whole picture stretched), and `side` if the file leaves that open.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentry.errors import ConfigurationError
from worker.engine.loop import Pixels
from worker.safety.classifier import Prepared, Scores
from worker.safety.resizing import cropped, stretched

_CHANNELS: Final = 3
_Triple = tuple[float, float, float]


class Description(BaseModel):
    """What the JSON file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000)]
    mean: _Triple = (0.0, 0.0, 0.0)
    std: _Triple = (1.0, 1.0, 1.0)
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    crop: bool = False
    side: Annotated[int, Field(ge=8, le=2_048)] | None = None


class OnnxFile:
    """One network with one input, [n, 3, height, width] or [n, height, width, 3] in float32."""

    def __init__(self, session: Any, description: Description) -> None:
        self._session = session
        self._description = description
        [taken] = session.get_inputs()
        self._name, shape = taken.name, taken.shape
        self._is_last = shape[-1] == _CHANNELS  # the channels
        height, width = shape[1:3] if self._is_last else shape[2:4]
        self._size = (_known(width, description), _known(height, description))
        self._at_once = shape[0] if isinstance(shape[0], int) else None

    @classmethod
    def open(cls, file: Path) -> "OnnxFile":
        """Load it and try it on a grey picture. Raises ConfigurationError."""
        try:
            import onnxruntime
        except ImportError:
            why = "A classifier in an ONNX file needs ONNX Runtime: pip install 'latentry[safety]'."
            raise ConfigurationError(why) from None
        description = _described(file.with_suffix(".json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # others are the loop's
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                file, options, providers=["CPUExecutionProvider"]
            )
            opened = cls(session, description)
            opened._try()
        except ConfigurationError:
            raise
        except Exception as error:  # its own errors, of many kinds, and our reading of its input
            raise ConfigurationError(f"{file} is no usable classifier: {error}") from error
        return opened

    @property
    def labels(self) -> tuple[str, ...]:
        """As the JSON file names them."""
        return self._description.labels

    def prepared(self, pixels: Pixels) -> Prepared:
        """RGB bytes [height, width, 3] as the network takes them, without the first axis."""
        one = self._description
        shown = cropped(pixels, self._size[0]) if one.crop else stretched(pixels, self._size)
        mean, std = (np.asarray(each, np.float32) for each in (one.mean, one.std))
        normal: Prepared = (shown - mean) / std
        return normal if self._is_last else np.ascontiguousarray(normal.transpose(2, 0, 1))

    def scores(self, pictures: Sequence[Prepared]) -> Scores:
        """[pictures, labels], from 0 to 1. Raises ValueError for what is no score."""
        step = self._at_once or len(pictures)
        found = [self._run(pictures[at : at + step]) for at in range(0, len(pictures), step)]
        scores = self._activated(np.concatenate(found))
        if scores.shape != (len(pictures), len(self.labels)) or not np.isfinite(scores).all():
            raise ValueError(f"its scores have shape {scores.shape}, or are no numbers")
        return scores.clip(0, 1)

    def _run(self, pictures: Sequence[Prepared]) -> Scores:
        asked = np.stack(pictures)
        if self._at_once and len(pictures) < self._at_once:
            asked = np.concatenate([asked, np.repeat(asked[-1:], self._at_once - len(asked), 0)])
        found: Scores = self._session.run(None, {self._name: asked})[0]
        return found[: len(pictures)].reshape(len(pictures), -1)

    def _activated(self, raw: Scores) -> Scores:
        if self._description.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-raw)), np.float32)
        if self._description.activation == "softmax":
            powers = np.exp(raw - raw.max(1, keepdims=True))
            return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)
        return raw

    def _try(self) -> None:
        if 0 in self._size:
            raise ConfigurationError("The classifier's JSON file must name its `side`.")
        self.scores([self.prepared(np.full((64, 96, 3), 128, np.uint8))] * 3)


def _known(side: Any, description: Description) -> int:
    """A side of its input: as the file has it, or else the description; 0 if neither does."""
    return side if isinstance(side, int) else description.side or 0


def _described(file: Path) -> Description:
    try:
        return Description.model_validate(json.loads(file.read_text("utf-8")))
    except OSError:
        raise ConfigurationError(f"{file} cannot be read; it must name the labels.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{file}: {where}: {first['msg']}.") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{file} is not JSON.") from None
