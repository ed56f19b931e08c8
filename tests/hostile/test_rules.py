"""The rules against what made others' CVEs: our code keeps them, and each catches its sample."""

import pytest

from tools.rules import RULES, findings, main

SAMPLES = {
    "no reader that can run what it reads": [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "from shelve import open as o",
        "torch.load('a.pt')",
        "from torch import load",
        "torch.hub.load(repo, name)",
        "torch.jit.load(path)",
        "yaml.load(text)",
        "eval(text)",
        "joblib.load(path)",
    ],
    "no code that comes with a model": [
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "numpy.load(file, allow_pickle=True)",
    ],
    "only the guarded client connects": [
        "import httpx",
        "import requests as r",
        "from urllib.request import urlopen",
        "import urllib.request",
        "urllib.request.urlopen(url)",
        "from http.client import HTTPSConnection",
        "asyncio.open_connection(host, 80)",
        "socket.create_connection((host, 80))",
        "from smtplib import SMTP",
    ],
    "the gateway opens no file by name": [
        "open(name)",
        "from pathlib import Path",
        "import os.path",
        "os.path.join(root, name)",
        "from starlette.responses import FileResponse",
        "from starlette.staticfiles import StaticFiles",
    ],
    "no response contains an exception's text": [
        "try: f()\nexcept ValueError as error: answer(str(error))",
        "try: f()\nexcept ValueError as e: raise InvalidRequest(f'bad: {e}')",
        "try: f()\nexcept OSError as error: answer(error.args[0])",
        "try: f()\nexcept OSError as error: answer('{}'.format(error))",
        "try: f()\nexcept OSError as error:\n  if x:\n    answer(repr(error))",
    ],
    "no shell": ["subprocess.run(line, shell=True)"],
    "no shell by another name": ["os.system(line)", "from os import popen"],
    "no archive is unpacked": ["tarfile.open(name).extractall(to)", "shutil.unpack_archive(name)"],
}
HARMLESS = [
    "import json\njson.loads(text)",
    "Gateway.open(settings)",
    "ledger.evaluate(script)",
    "from urllib.parse import urlsplit",
    "try: f()\nexcept LatentryError as error: answer(error.message, error.code)",
    "try: f()\nexcept ValueError as error: raise InvalidRequest('bad') from error",
    "subprocess.run(words, shell=False)",
    "trust_remote_code = False",
]


def test_our_own_rooms_keep_every_rule(capsys) -> None:
    assert main() == 0, capsys.readouterr().out


def test_every_rule_has_a_sample() -> None:
    assert set(SAMPLES) == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("rule", "sample"), [(rule, sample) for rule in SAMPLES for sample in SAMPLES[rule]]
)
def test_a_rule_catches_its_sample(rule: str, sample: str) -> None:
    assert rule in {finding.rule for finding in findings(sample, "service/doors/new.py")}


@pytest.mark.parametrize("sample", HARMLESS)
def test_no_rule_is_against_what_does_no_harm(sample: str) -> None:
    assert findings(sample, "service/doors/new.py") == []


def test_the_place_for_a_thing_may_have_it() -> None:
    assert findings("import httpx", "latentry/client/new.py") == []
    assert findings("import httpx", "worker/new.py") != []
