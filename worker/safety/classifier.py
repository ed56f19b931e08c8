"""What gives a picture its scores."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from worker.engine.loop import Pixels

Prepared = NDArray[np.float32]
Scores = NDArray[np.float32]


class Classifier(Protocol):
    """Scores pictures, several in one call. `prepared` is for any thread, `scores` for one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each score is of."""

    def prepared(self, pixels: Pixels) -> Prepared:
        """RGB bytes [height, width, 3] as its network takes them."""

    def scores(self, pictures: Sequence[Prepared]) -> Scores:
        """[pictures, labels], from 0 to 1. May raise anything: its files are an operator's."""
