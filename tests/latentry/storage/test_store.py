"""What every storage promises, whichever it is."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from latentry.errors import FileNotFound
from latentry.storage import Storage, key_of, prefix_of

_JOBS = count()


@pytest.fixture
def job() -> str:
    return f"job-{next(_JOBS)}"


def _key(job: str, index: int = 0, fence: int = 1) -> str:
    return key_of("default", job, fence=fence, index=index, suffix=".png")


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, 6_000_000])  # the last goes up in parts
def test_what_was_put_comes_back(storage: Storage, job: str, size_bytes: int) -> None:
    data = bytes(range(256)) * (size_bytes // 256) + bytes(size_bytes % 256)
    storage.put(_key(job), data)
    assert storage.get(_key(job)) == data


def test_a_second_put_replaces_the_first(storage: Storage, job: str) -> None:
    storage.put(_key(job), b"first, and longer")
    storage.put(_key(job), b"second")
    assert storage.get(_key(job)) == b"second"


def test_a_missing_file_says_so(storage: Storage, job: str) -> None:
    with pytest.raises(FileNotFound):
        storage.get(_key(job))


@pytest.mark.parametrize("key", ["", "a/b", "../a/b/1-0.png", "/etc/passwd", "a/b/1-0.html"])
def test_a_key_that_is_not_ours_is_no_file_and_takes_none(storage: Storage, key: str) -> None:
    with pytest.raises(FileNotFound):
        storage.get(key)
    with pytest.raises(FileNotFound):
        storage.url(key, expires_s=60)
    with pytest.raises(ValueError, match="not a storage key"):
        storage.put(key, b"evil")
    with pytest.raises(ValueError, match="not a storage key"):
        storage.delete(key)


def test_one_picture_can_be_deleted_twice(storage: Storage, job: str) -> None:
    for index in (0, 1):
        storage.put(_key(job, index), b"picture")
    storage.delete(_key(job))
    storage.delete(_key(job))
    with pytest.raises(FileNotFound):
        storage.get(_key(job))
    assert storage.get(_key(job, 1)) == b"picture"


def test_deleting_a_job_leaves_its_neighbours(storage: Storage, job: str) -> None:
    longer_name = f"{job}0"
    for key in (_key(job, 0), _key(job, 1), _key(job, 0, fence=2), _key(longer_name)):
        storage.put(key, b"picture")
    storage.delete_prefix(prefix_of("default", job))
    for gone in (_key(job, 0), _key(job, 1), _key(job, 0, fence=2)):
        with pytest.raises(FileNotFound):
            storage.get(gone)
    assert storage.get(_key(longer_name)) == b"picture"


def test_deleting_a_job_without_files_is_fine(storage: Storage, job: str) -> None:
    storage.delete_prefix(prefix_of("default", job))


@pytest.mark.parametrize("prefix", ["", "default", "default/", "../x", "a/b/c"])
def test_only_a_whole_job_can_be_deleted(storage: Storage, prefix: str) -> None:
    with pytest.raises(ValueError, match="not a storage prefix"):
        storage.delete_prefix(prefix)


def test_old_pictures_are_listed_without_young_ones(storage: Storage, job: str) -> None:
    storage.put(_key(job), b"picture")
    written = datetime.now(UTC)
    assert _key(job) not in storage.older(written - timedelta(hours=1))
    assert _key(job) in storage.older(written + timedelta(hours=1))
