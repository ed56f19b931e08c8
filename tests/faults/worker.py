"""A worker that is made to fail: `python -m tests.faults.worker [NAME=VALUE]…`.

die=POINT, hung_s=N, clip_hung_s=N, storage_s=N, clock=N
"""

import tests.faults.clock  # noqa: F401, I001 - before any module reads a clock
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentry.ledger import Command, Ledger
from latentry.logs import configure_logs
from latentry.settings import Settings
from latentry.storage import Storage
from tests.faults.hazards import Hazardous, Point
from worker import app, backends, stepping
from worker.publishing import frames, publisher
from worker.process.keepalive import Keepalive, SocketKeepalive
from worker.process.watchdog import Watchdog


def main(arguments: list[str]) -> int:
    """The parent; with a number at the end, its child."""
    settings = Settings.from_env(os.environ)
    configure_logs(settings)
    if not arguments or not arguments[-1].isdecimal():
        return Watchdog([sys.executable, "-m", "tests.faults.worker", *arguments]).run()
    said = dict(argument.split("=") for argument in arguments[:-1])
    if "hung_s" in said:
        stepping.HUNG_S = float(said["hung_s"])
    if "clip_hung_s" in said:
        publisher.CLIP_HUNG_S = float(said["clip_hung_s"])
        _hang_in_an_encoder(settings.data_dir / "hung")
    if "storage_s" in said:
        publisher.PATIENCE_S = float(said["storage_s"])
    if "die" in said:
        _die_at(Point.parse(said["die"], settings.data_dir))

    def open_backend(settings: Settings, keepalive: Keepalive, *more: Any) -> Any:
        backend, cards = backends.open_backend(settings, keepalive, *more)
        return Hazardous(backend, settings.data_dir), cards

    app.run(settings, SocketKeepalive(int(arguments[-1])), open_backend)
    logging.shutdown()
    os._exit(0)


def _hang_in_an_encoder(flag: Path) -> None:
    """The first one of a house waits in the middle of its file, in C, for what nobody writes."""
    encode = frames.encode_clip

    def encode_or_hang(shown: Sequence[Any], *how: Any) -> bytes:
        if not flag.exists():
            flag.touch()
            nothing, _writer = os.pipe()
            assert len([shown[0], shown[1]]) == 2
            os.read(nothing, 1)
        return encode(shown, *how)

    frames.encode_clip = encode_or_hang


def _die_at(point: Point) -> None:
    run, run_all, put, get = Ledger.run, Ledger.run_all, Storage.put, Storage.get

    def run_and_die(ledger: Ledger, command: Command[Any]) -> Any:
        name = command.script.rpartition("/")[2]
        point.pass_by(name, is_after=False)
        answer = run(ledger, command)
        if answer != []:  # an empty claim is none
            point.pass_by(name, is_after=True)
        return answer

    def run_all_and_die(ledger: Ledger, commands: Sequence[Command[Any]]) -> list[Any]:
        names = [command.script.rpartition("/")[2] for command in commands]
        for name in names:
            point.pass_by(name, is_after=False)
        answers = run_all(ledger, commands)
        for name in names:
            point.pass_by(name, is_after=True)
        return answers

    def put_and_die(storage: Storage, key: str, data: bytes) -> None:
        point.pass_by("put", is_after=False)
        put(storage, key, data)
        point.pass_by("put", is_after=True)

    def get_and_die(storage: Storage, key: str) -> bytes:
        point.pass_by("get", is_after=False)
        data = get(storage, key)
        point.pass_by("get", is_after=True)
        return data

    Ledger.run = run_and_die  # type: ignore[method-assign]
    Ledger.run_all = run_all_and_die  # type: ignore[method-assign,assignment]
    Storage.put = put_and_die  # type: ignore[method-assign]
    Storage.get = get_and_die  # type: ignore[method-assign]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
