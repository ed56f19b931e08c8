"""What AWS's variables, proxies and authorities have to say about a bucket."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from latentry.errors import ConfigurationError, StorageUnavailable
from latentry.settings import Settings
from latentry.storage import open_storage
from latentry.storage import s3 as s3_store
from tests.latentry.storage.conftest import S3Server
from tests.tls import Authority, tls_front
from tests.valkey import free_port

KEY = "default/job-1/1-0.png"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "DEFAULT_REGION", "PROFILE", "ENDPOINT_URL", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def claims(settings: Settings) -> dict[str, str]:
    """What a presigned URL says of who signed it, and where."""
    url = open_storage(settings).url(KEY, expires_s=60)
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


def test_our_keys_are_joined_by_nothing_of_the_environments(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a token")
    for name, value in {
        "SESSION_TOKEN": "of-somebody-else",
        "ACCESS_KEY_ID": "another",
        "SECRET_ACCESS_KEY": "another",
        "PROFILE": "another",
        "ROLE_ARN": "arn:aws:iam::123456789012:role/another",
        "WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "SKIP_SIGNATURE": "true",
        "ENDPOINT_URL": "http://127.0.0.1:1",
        "REGION": "eu-north-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    settings = s3.settings(s3_region="eu-central-1")
    storage = open_storage(settings)
    storage.put(KEY, b"picture")
    assert storage.get(KEY) == b"picture"
    assert httpx.get(storage.url(KEY, expires_s=60)).content == b"picture"
    said = claims(settings)
    assert "X-Amz-Security-Token" not in said
    assert said["X-Amz-Credential"].startswith("latentry-test/")
    assert "/eu-central-1/" in said["X-Amz-Credential"]


def test_without_keys_of_ours_those_of_the_environment_are_used_whole(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "latentry-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    settings = s3.settings(s3_access_key="", s3_secret_key="", s3_endpoint="")
    open_storage(settings).put(KEY, b"picture")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "its-own")
    assert claims(settings)["X-Amz-Security-Token"] == "its-own"


@pytest.mark.parametrize(
    ("env", "ours", "region"),
    [
        ({}, "", "us-east-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-3"}, "", "eu-west-3"),
        ({"AWS_DEFAULT_REGION": "eu-west-3", "AWS_REGION": "eu-north-1"}, "", "eu-north-1"),
        ({"AWS_REGION": "eu-north-1"}, "sa-east-1", "sa-east-1"),
    ],
)
def test_the_region_is_ours_or_awss_or_the_first(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], ours: str, region: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = s3.settings(s3_region=ours) if ours else s3.settings()
    assert f"/{region}/s3/" in claims(settings)["X-Amz-Credential"]


@pytest.mark.parametrize(
    ("changes", "env", "sentence"),
    [
        ({"url_ttl_s": 604_801}, {}, "LATENTRY_URL_TTL_S is 604801"),
        ({"s3_secret_key": ""}, {}, "must both be set, or neither"),
        ({"s3_access_key": ""}, {"AWS_ACCESS_KEY_ID": "x"}, "must both be set, or neither"),
        (
            {"s3_access_key": "", "s3_secret_key": ""},
            {"AWS_PROFILE": "work"},
            "AWS_PROFILE is work, but the service reads no profiles",
        ),
        ({"s3_ca_file": "/nowhere.pem"}, {}, "LATENTRY_S3_CA_FILE cannot be read"),
        ({"s3_ca_file": "/dev/null"}, {}, "LATENTRY_S3_CA_FILE cannot be read"),
    ],
)
def test_what_s3_cannot_do_is_refused_at_start(
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    env: dict[str, str],
    sentence: str,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=sentence):
        open_storage(s3.settings(**changes))


def test_a_week_is_not_too_long_and_other_storage_may_sign_for_longer(
    s3: S3Server, tmp_path: Path
) -> None:
    assert open_storage(s3.settings(url_ttl_s=604_800)).url(KEY, expires_s=604_800)
    assert open_storage(Settings(data_dir=tmp_path, url_ttl_s=604_801)).url(KEY, 604_801)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{}", "socks5://127.0.0.1:{}"])
def test_a_bucket_on_this_machine_is_not_reached_through_a_proxy(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.format(free_port()))
    for host in ("127.0.0.1", "localhost"):
        storage = open_storage(s3.settings(s3_endpoint=f"http://{host}:{s3.port}"))
        storage.put(KEY, b"picture")
        assert storage.get(KEY) == b"picture"


def test_a_certificate_is_verified_with_the_authority_that_is_named(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with tls_front(s3.port, authority.sign("IP:127.0.0.1")) as front:
        endpoint = f"https://127.0.0.1:{front.port}"
        monkeypatch.setattr(s3_store, "_RETRY", timedelta(seconds=0.3))
        with pytest.raises(StorageUnavailable):
            open_storage(s3.settings(s3_endpoint=endpoint)).put(KEY, b"picture")
        assert front.received == 0
        trusting = s3.settings(s3_endpoint=endpoint, s3_ca_file=str(authority.file))
        open_storage(trusting).put(KEY, b"picture")
        assert front.received > 0
