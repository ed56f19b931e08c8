#!/bin/sh
# webuiapi 0.9.17 (Python): controlnet_detect() sends its pictures as `controlnet_images`. sd-webui-controlnet reads `controlnet_input_images`, in all its
# versions (scripts/api.py), finds none, and answers 422 "No image selected": the method cannot work with what it is made for.
# Seen: a server that records the body gets controlnet_images, and no controlnet_input_images.
# Exits with 1 if the fields are others.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" webuiapi==0.9.17
PYTHONPATH="$folder" python3 - <<'PY'
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import webuiapi
from PIL import Image

sent = []


class Recorder(BaseHTTPRequestHandler):
    def do_POST(self):
        sent.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        answer = b'{"images": [], "info": "Success"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Recorder)
Thread(target=server.serve_forever, daemon=True).start()
api = webuiapi.WebUIApi(host="127.0.0.1", port=server.server_port)
api.controlnet_detect(images=[Image.new("RGB", (8, 8))], module="canny")
[(path, body)] = sent
print(path, sorted(body))
sys.exit(not ("controlnet_images" in body and "controlnet_input_images" not in body))
PY
