#!/bin/sh
# obstore 0.12.1 (reqwest beneath it): NO_PROXY=* and proxy_excludes="*", which its documentation calls NO_PROXY semantics, mean "no proxy
# for any name". A host that is an IP address goes through the proxy all the same; curl, Go, Python and httpx exempt both.
# Seen: a PUT to http://localhost:… arrives directly ("PUT /bucket/k"), one to http://127.0.0.1:… as a proxy is asked ("PUT http://…").
# Exits with 1 if both arrive alike.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet obstore==0.12.1
env -u http_proxy -u HTTP_PROXY -u no_proxy -u NO_PROXY "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import os
import threading

lines = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        lines.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
os.environ.update(HTTP_PROXY=here, NO_PROXY="*")  # the proxy is the same server, to see what it is sent

import obstore
from obstore.store import S3Store

for options in ({}, {"proxy_url": here, "proxy_excludes": "*"}):
    for host in ("localhost", "127.0.0.1"):
        store = S3Store(
            "bucket", endpoint=f"http://{host}:{server.server_port}", region="x",
            access_key_id="a", secret_access_key="s", client_options={"allow_http": True, **options},
        )
        obstore.put(store, "k", b"x")
        print(options and 'proxy_excludes="*"' or "NO_PROXY=*", host, "->", "PUT", lines[-1])
raise SystemExit(0 if [line.startswith("http") for line in lines] == [False, True] * 2 else 1)
PYTHON
