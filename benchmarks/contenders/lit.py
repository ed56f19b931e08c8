"""LitServe around the stock pipeline: `python -m benchmarks.contenders.lit PORT`.

It batches the requests that have arrived, runs equal ones together, and answers a batch when all
of its pictures are drawn.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

import litserve
from fastapi import Response

from benchmarks.contenders.dynamic import next_group
from benchmarks.contenders.locked import png
from benchmarks.contenders.stock import Stock
from benchmarks.load.traces import Wish, wish_of

BATCH: Final = 16
WINDOW_S: Final = 0.01  # without a window it polls for requests without a pause


class Api(litserve.LitAPI):  # type: ignore[misc]
    """LitServe calls these methods by their names."""

    def setup(self, device: str) -> None:
        """Load the pipeline, in the process that computes."""
        self.stock = Stock()

    def decode_request(self, request: dict[str, Any]) -> Wish:
        """The wish in a request's body."""
        return wish_of(request)

    def batch(self, inputs: list[Wish]) -> list[Wish]:
        """The list itself; LitServe's own method would make an array."""
        return inputs

    def predict(self, inputs: Sequence[Wish]) -> list[Any]:
        """The pictures, in the order of the wishes."""
        drawn: dict[int, Any] = {}
        waiting = list(enumerate(inputs))
        while waiting:
            group = next_group(waiting, lambda one: one[1].likeness, BATCH)
            waiting = [one for one in waiting if one not in group]
            images = self.stock.draw([wish for _, wish in group])
            drawn |= dict(zip((number for number, _ in group), images, strict=True))
        return [drawn[number] for number in range(len(inputs))]

    def unbatch(self, output: list[Any]) -> list[Any]:
        """The pictures, which are a list already."""
        return output

    def encode_response(self, output: Any) -> Response:
        """The picture as PNG."""
        return Response(png(output), media_type="image/png")


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(max_batch_size=BATCH, batch_timeout=WINDOW_S), accelerator="cpu", timeout=False
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False
    )
