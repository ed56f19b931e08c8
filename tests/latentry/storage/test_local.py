"""What the local directory promises beyond that."""

import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from latentry.errors import ConfigurationError, FileNotFound, LinkRefused, StorageUnavailable
from latentry.settings import Settings
from latentry.storage import open_storage, verify

KEY = "default/job-1/1-0.png"


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_pictures_lie_in_the_data_directory_by_default(local_settings: Settings) -> None:
    open_storage(local_settings).put(KEY, b"picture")
    assert (local_settings.data_dir / "images" / KEY).read_bytes() == b"picture"


def test_links_lead_to_the_gateway_and_pass_its_check(local_settings: Settings) -> None:
    url = urlsplit(open_storage(local_settings).url(KEY, expires_s=60))
    query = parse_qs(url.query)
    exp, sig = int(query["exp"][0]), query["sig"][0]
    secret = local_settings.signing_secret()
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"https://pictures.example/v1/files/{KEY}"
    verify(secret, KEY, exp, sig, now=exp - 1)
    with pytest.raises(LinkRefused):
        verify(secret, KEY, exp, sig, now=exp)


def test_every_byte_and_name_is_on_the_disk_before_put_returns(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    open_storage(local_settings).put(KEY, b"picture")
    root = (local_settings.data_dir / "images").resolve()
    assert flushed == [root / KEY, root / "default/job-1", root / "default", root]


def test_a_write_cut_short_leaves_no_file(local_settings: Settings) -> None:
    storage = open_storage(local_settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # the kernel's own EFBIG, as ENOSPC
    try:
        with pytest.raises(StorageUnavailable):
            storage.put(KEY, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(FileNotFound):
        storage.get(KEY)


def test_a_link_out_of_the_directory_is_not_followed(
    local_settings: Settings, tmp_path: Path
) -> None:
    storage = open_storage(local_settings)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1-0.png").write_bytes(b"secret")
    (local_settings.data_dir / "images/default").mkdir(parents=True)
    (local_settings.data_dir / "images/default/job-1").symlink_to(outside)
    with pytest.raises(FileNotFound):
        storage.get(KEY)
    with pytest.raises(ValueError, match="not a storage key"):
        storage.put(KEY, b"overwritten")
    assert (outside / "1-0.png").read_bytes() == b"secret"


def test_a_deleted_job_leaves_no_empty_folder(local_settings: Settings) -> None:
    storage = open_storage(local_settings)
    storage.put(KEY, b"picture")
    storage.delete_prefix("default/job-1")
    assert _files(local_settings.data_dir / "images") == []


def test_only_pictures_of_ours_are_listed(local_settings: Settings) -> None:
    storage = open_storage(local_settings)
    foreign = local_settings.data_dir / "images" / "holiday.png"
    foreign.write_bytes(b"not ours")
    assert storage.older(datetime.now(UTC) + timedelta(days=1)) == []


@pytest.mark.parametrize(
    "url", ["ftp://host/dir", "file://host/dir", "file://", "s3://", "pictures", "s3:/bucket"]
)
def test_a_storage_url_that_means_nothing_stops_the_process(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LATENTRY_STORAGE_URL"):
        open_storage(Settings(storage_url=url))


def test_a_directory_that_cannot_be_made_stops_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="LATENTRY_STORAGE_URL"):
        open_storage(Settings(storage_url=f"file://{tmp_path}/file/dir", signing_key="k"))


def test_what_is_deleted_while_it_is_written_is_simply_gone(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    storage, put = open_storage(local_settings), obstore.put

    def put_and_lose(*args: object) -> None:
        put(*args)
        storage.delete_prefix("default/job-1")

    monkeypatch.setattr(obstore, "put", put_and_lose)
    storage.put(KEY, b"picture")
    with pytest.raises(FileNotFound):
        storage.get(KEY)
