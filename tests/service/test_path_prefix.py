"""A gateway behind a reverse proxy that serves it under a path, over real sockets."""

import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin

import httpx
import pytest

from latentry.client import Client
from latentry.errors import ConfigurationError
from latentry.settings import Settings
from service.__main__ import bind, server
from tests.hostile.pictures import encoded
from tests.service.fake import PICTURE, FakeWorker

PREFIX = "/some%20art"


class Proxy(BaseHTTPRequestHandler):
    """Forwards what lies under PREFIX, and nothing else."""

    protocol_version = "HTTP/1.0"
    port: int
    removes_prefix: bool

    def do_GET(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(418)
            return
        path = self.path.removeprefix(PREFIX) if self.removes_prefix else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
        upstream.request(self.command, path, body, headers)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        while chunk := answer.read1():
            self.wfile.write(chunk)
            self.wfile.flush()
        upstream.close()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(params=["removes the prefix", "keeps the prefix"])
def prefixed(settings: Settings, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a gateway under a prefix."""
    listening = bind("127.0.0.1", 0)
    removes = request.param == "removes the prefix"
    port = listening.getsockname()[1]
    handler = type("Handler", (Proxy,), {"port": port, "removes_prefix": removes})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{proxy.server_port}{PREFIX}"
    gateway = server(settings.model_copy(update={"port": port, "public_url": f"{url}/"}))
    threads = [
        threading.Thread(target=gateway.run, args=([listening],)),
        threading.Thread(target=proxy.serve_forever),
    ]
    for thread in threads:
        thread.start()
    yield url
    gateway.should_exit = True
    proxy.shutdown()
    for thread in threads:
        thread.join()
    proxy.server_close()


def test_the_page_and_the_servers_of_the_document_are_under_the_prefix(prefixed: str) -> None:
    page = httpx.get(f"{prefixed}/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    [document] = re.findall(r"url: '([^']+)'", page.text)
    for path in (*loaded, document):
        url = urljoin(f"{prefixed}/docs", path)
        assert url.startswith(f"{prefixed}/")
        assert httpx.get(url).status_code == 200
    described = httpx.get(urljoin(f"{prefixed}/docs", document)).json()
    assert [entry["url"] for entry in described["servers"]] == [prefixed]
    assert httpx.get(f"{described['servers'][0]['url']}/livez").status_code == 200


def test_every_url_that_the_service_gives_leads_back_to_it(prefixed: str, worker) -> None:
    body = {"prompt": "a", "model": "shapes"}
    with worker, httpx.Client() as http:
        answer = http.post(f"{prefixed}/v1/generations", json=body, headers={"Prefer": "wait=30"})
        job = answer.json()
        [picture] = job["images"]
        urls = [answer.headers["location"], *job["urls"].values(), picture["url"]]
        assert all(url.startswith(f"{prefixed}/v1/") for url in urls)
        assert http.get(answer.headers["location"]).json()["id"] == job["id"]
        assert http.get(picture["url"]).content == PICTURE
        assert "event: succeeded" in http.get(job["urls"]["events"]).text
        assert http.post(job["urls"]["cancel"]).status_code == 200
        again = http.post(f"{prefixed}/v1/images/generations", json=body)
        assert http.get(again.json()["data"][0]["url"]).content == PICTURE
        page = http.get(f"{prefixed}/v1/generations", params={"limit": 1}).json()
        more = {"limit": 1, "cursor": page["next_cursor"]}
        [older] = http.get(f"{prefixed}/v1/generations", params=more).json()["data"]
        assert older["id"] == job["id"]
        kind = {"Content-Type": "image/png"}
        stored = http.post(f"{prefixed}/v1/files", content=encoded("PNG"), headers=kind)
        assert http.get(stored.headers["location"]).json() == stored.json()


def test_the_sdk_works_with_a_url_under_a_prefix(prefixed: str, worker: FakeWorker) -> None:
    with worker, Client(prefixed) as client:
        job = client.generate("a")
        assert client.download(job.images[0]) == PICTURE
        assert [event.type for event in client.events(job.id)][-1] == "succeeded"


def test_a_problem_names_the_path_as_clients_see_it(prefixed: str) -> None:
    for path in ("/v1/generations/gen_x", "/nowhere", "/v1/generationsx"):
        answer = httpx.get(f"{prefixed}{path}")
        assert answer.status_code == 404
        assert answer.json()["instance"] == f"/some art{path}"
    assert "error" in httpx.post(f"{prefixed}/v1/images/generations", content="{").json()


@pytest.mark.parametrize(
    "url",
    [
        "host/pictures",
        "ftp://host",
        "https://",
        "https://host/v1",
        "https://host/a?b",
        "http://h:x",
    ],
)
def test_a_url_that_nothing_can_be_appended_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LATENTRY_PUBLIC_URL is invalid"):
        Settings.from_env({"LATENTRY_PUBLIC_URL": url})
