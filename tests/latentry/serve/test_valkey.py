import asyncio
import os
import stat
import subprocess

import pytest
import redis

from latentry.errors import ConfigurationError
from latentry.serve import valkey as module
from latentry.serve.valkey import Valkey, binary


@pytest.fixture
def start():
    """Starts a Valkey without a tether, as a killed supervisor leaves it."""
    started = []

    def run(valkey):
        command = [binary(), str(valkey.config_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        patience = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)
        with redis.Redis.from_url(valkey.url, retry=patience) as client:
            client.ping()
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_data_survives_a_successor_and_the_predecessor_is_shut_down(start, tmp_path):
    first = Valkey.new(tmp_path / "valkey")
    process = start(first)
    with redis.Redis.from_url(first.url) as client:
        client.set("job", "queued")

    left = Valkey.previous(tmp_path / "valkey")
    assert left == first
    await left.shut_down()
    assert process.wait() == 0

    second = Valkey.new(tmp_path / "valkey")
    start(second)
    with redis.Redis.from_url(second.url) as client:
        assert client.get("job") == b"queued"


@pytest.mark.parametrize("name", ["it's", 'say "so"', "back\\slash\\x41", "two  words", "é\n#"])
def test_its_folder_may_have_any_name(start, tmp_path, name):
    valkey = Valkey.new(tmp_path / name)
    start(valkey)
    with redis.Redis.from_url(valkey.url) as client:
        assert client.config_get("dir") == {"dir": str(valkey.folder)}
    assert (valkey.folder / "appendonlydir").is_dir()
    assert Valkey.previous(valkey.folder) == valkey


async def test_it_refuses_commands_without_its_password(start, tmp_path):
    valkey = Valkey.new(tmp_path)
    start(valkey)
    stranger = Valkey(tmp_path, valkey.port, "0" * 32)
    assert not await stranger.answers()
    await stranger.shut_down()  # another server: left alone
    assert await valkey.answers()
    assert stat.S_IMODE(os.stat(valkey.config_path).st_mode) == 0o600


async def test_a_port_of_another_server_is_left_alone(tmp_path):
    async def hello(_, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    async with server:
        valkey = Valkey(tmp_path, server.sockets[0].getsockname()[1], "0" * 32)
        await valkey.shut_down()
        assert not await valkey.answers()


def test_a_folder_without_a_configuration_has_no_previous_server(tmp_path):
    assert Valkey.previous(tmp_path) is None


def test_a_machine_without_valkey_gets_instructions(monkeypatch):
    monkeypatch.setattr(module, "_in_wheel", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="or set LATENTRY_REDIS_URL"):
        binary()


def test_a_server_on_the_path_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_in_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "redis-server").write_text("#!/bin/sh\n")
    (tmp_path / "redis-server").chmod(0o755)
    assert binary() == str(tmp_path / "redis-server")
