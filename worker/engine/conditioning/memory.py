"""The chunks that were encoded last, within a bound of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from worker.engine.conditioning.clip import Encoded


class Memory:
    """Forgets what was not asked for longest. It lies on the device, where embeddings are used."""

    def __init__(self, capacity_bytes: int) -> None:
        self.size_bytes = 0
        self._capacity_bytes = capacity_bytes
        self._known: OrderedDict[Hashable, Encoded] = OrderedDict()

    def recall(self, key: Hashable, encode: Callable[[], Encoded]) -> Encoded:
        """What is known under the key, or else what `encode` makes."""
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        encoded = self._known[key] = encode()
        self.size_bytes += encoded.size_bytes
        while self.size_bytes > self._capacity_bytes:
            _, forgotten = self._known.popitem(last=False)
            self.size_bytes -= forgotten.size_bytes
        return encoded
