"""The cheap load counts whole answers, and leaves the rest of the machine to the server."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from benchmarks import gateway
from benchmarks.contenders.gateway import POST, call, ceiling
from benchmarks.load.sockets import Load


async def _served(answers: list[bytes], load: dict[str, Any]) -> dict[str, Any]:
    """What the load counts of a server that gives these pieces, one request after the other."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            for piece in answers:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(until_closed, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await call(Load(port, requests=["GET / HTTP/1.1\r\n\r\n"], **load))


async def test_an_answer_counts_once_all_of_its_pieces_have_come() -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Le", b"ngth: 4\r\n\r", b"\n12", b"34"]
    found = await _served(pieces, {"callers": 3, "for_s": 0.2, "warm_s": 0.0})
    assert found["statuses"].keys() == {"200"}
    assert found["rate"] == pytest.approx(found["statuses"]["200"] / 0.2, rel=0.5)
    assert 0 < found["p50_ms"] <= found["p99_ms"]


async def test_a_caller_who_reads_pictures_asks_for_the_one_that_it_was_told_of() -> None:
    asked = list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.append(head.decode().partition(" HTTP")[0])
            said = b"p" if b"/files/" in head else b'{"url":"https://a.example/files/1?sig=2"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(until_closed, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        load = Load(port, 1, ["POST / HTTP/1.1\r\n\r\n"], 0.2, warm_s=0.0, reads_pictures=True)
        found = await call(load)
    assert asked[:3] == ["POST /", "GET /files/1?sig=2", "POST /"]
    assert found["statuses"]["200"] <= (len(asked) + 1) // 2, "both are one answer"


async def test_the_ceiling_is_what_a_server_gets_that_only_answers() -> None:
    assert await ceiling(2, 0.1) > 0


def test_the_table_has_rates_ratio_and_processor_time_of_each_cell() -> None:
    def windows(rate: float) -> list[dict[str, Any]]:
        used = {"gateway": 1000 / rate, "valkey": 0.2, "callers": 0.02}
        return [{"rate": rate + n, "p50_ms": 2.0, "used_ms": used} for n in range(2)]

    cell = {"kind": POST, "callers": 16, "new": windows(1000.0), "old": windows(500.0)}
    facts = {"new": "b", "old": "a", "machine": "2 CPUs", "rounds": 2, "seconds": 3.0}
    found = json.loads(json.dumps(facts | {"ceiling": 30_000.0, "cells": [cell]}))
    lines = gateway.report(found)
    assert lines[3].startswith("2 rounds of 3 s; the callers alone reach 30000 a second")
    assert [part.strip() for part in lines[-2].strip("|").split("|")] == [
        f"{POST}, 16 callers", "1000", "500", "2.00", "1.99 to 2.01", "2.0", "2.0",
        "1.00 + 0.20 + 0.02", "2.00 + 0.20 + 0.02",
    ]  # fmt: skip
