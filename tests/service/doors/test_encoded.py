"""Answers with pictures in them, of which one is in memory at a time."""

import base64
import weakref

from latentry.contracts import StoredOutput
from service.doors.encoded import begun, between
from tests.latentry.ledger.factory import image


class Held(bytearray):
    """A picture that tells when it is gone."""


class Counting:
    """A storage of large pictures."""

    def __init__(self) -> None:
        self.given = list[weakref.ref[Held]]()

    def get(self, key: str) -> Held:
        picture = Held(key.encode() * 400_000)
        self.given.append(weakref.ref(picture))
        return picture

    @property
    def held(self) -> int:
        return sum(one() is not None for one in self.given)


def stored(count: int) -> list[StoredOutput]:
    return [image(k, key=f"{k}") for k in range(count)]


async def test_two_pictures_are_in_memory_at_most() -> None:
    storage, held, whole = Counting(), set[int](), b""
    pieces = await begun(between(storage, stored(5), [b"[", *[b","] * 4, b"]"]))
    async for piece in pieces:
        held.add(storage.held)
        whole += piece
    assert max(held) <= 2
    texts = whole.decode().removeprefix("[").removesuffix("]").split(",")
    assert [base64.b64decode(text)[:1] for text in texts] == [b"0", b"1", b"2", b"3", b"4"]
    assert {len(base64.b64decode(text)) for text in texts} == {400_000}


async def test_without_pictures_there_is_the_text_alone() -> None:
    pieces = await begun(between(Counting(), [], [b"{}"]))
    assert [piece async for piece in pieces] == [b"{}"]
