"""Previews on their way from the loop to those who follow the job."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentry.contracts import JobStatus
from latentry.contracts.fields.safety import ImageAction, ImageRule
from latentry.ledger import (
    AsyncLedger,
    Feed,
    Ledger,
    LedgerEvent,
    PreviewUpdate,
    commands,
    instances,
)
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job, request
from tests.valkey import Valkey
from tests.worker.harness import Worker, ended, submit
from worker.claims.claimed_job import ClaimedJob
from worker.claims.inbox import Inbox, Watched
from worker.claims.progress import ProgressReports
from worker.claims.thumbnail import thumbnail
from worker.engine.loop import Preview


async def until_it_ends(feed: AsyncIterator[object]) -> list[PreviewUpdate]:
    shown: list[PreviewUpdate] = []
    async for update in feed:
        if isinstance(update, PreviewUpdate):
            shown.append(update)
        if isinstance(update, LedgerEvent) and update.type.is_terminal:
            break
    return shown


def pixels_of(update: PreviewUpdate) -> np.ndarray:
    kind, _, text = update.preview.url.partition(",")
    assert kind == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    assert picture.format == "JPEG"
    assert not picture.getexif()
    return np.asarray(picture)


async def test_previews_are_of_the_job_that_requested_them_alone(
    ledger: Ledger, async_ledger: AsyncLedger, worker: Worker
) -> None:
    feed = Feed(async_ledger).listen()
    assert await anext(feed) is None
    other = submit(ledger, seed=250, prompt="for ever")
    requested = submit(ledger, seed=40, prompt="for ever", n=2, preview_interval=1)
    shown: dict[int, PreviewUpdate] = {}
    async for update in feed:
        if isinstance(update, PreviewUpdate):
            assert update.ref == requested
            shown[update.preview.index] = update
        if len(shown) == 2:
            break
    for index, update in shown.items():
        pixels = pixels_of(update)
        assert pixels.shape == (96, 128, 3)
        assert np.abs(pixels.astype(int) - (40 + index)).max() <= 2
    for ref in (other, requested):
        ledger.run(commands.cancel(ref))
        assert ended(ledger, ref).state is JobStatus.CANCELED
    await feed.aclose()


async def test_of_previews_nothing_is_kept(
    ledger: Ledger, async_ledger: AsyncLedger, worker: Worker
) -> None:
    feed = Feed(async_ledger).listen()
    assert await anext(feed) is None
    ref = submit(ledger, num_inference_steps=100, preview_interval=1)
    shown = await until_it_ends(feed)
    assert [update.preview.step for update in shown] == sorted(
        {update.preview.step for update in shown}
    )
    assert {event.type for event in ledger.run(commands.list_events(ref))} == {
        "queued", "running", "image", "succeeded"
    }  # fmt: skip
    own = ledger.client.scan_iter(f"{ledger.root}:*")
    assert not any("preview" in key for key in own)
    await feed.aclose()


async def test_of_many_previews_between_two_messages_only_the_last_is_sent(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    ledger.run(commands.create(new_job(request=request(preview_interval=1)), max_queued=9))
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=5))
    feed = Feed(async_ledger).listen()
    assert await anext(feed) is None
    progress, job = ProgressReports(ledger, Inbox()), ClaimedJob(lease)
    for step in range(1, 100):
        progress.preview(job, Preview(job.id, 0, step, np.zeros((8, 8, 3), dtype=np.uint8)))
    progress.send()
    progress.send()
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    assert [update.preview.step for update in await until_it_ends(feed)] == [99]
    await feed.aclose()


async def test_a_worker_that_lost_its_lease_shows_nothing(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    ledger.run(commands.create(new_job(), max_queued=9))
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=5))
    feed = Feed(async_ledger).listen()
    assert await anext(feed) is None
    assert ledger.run(commands.publish_preview(lease, 0, 1, b"mine"))
    ledger.run(commands.release(lease))
    assert not ledger.run(commands.publish_preview(lease, 0, 2, b"late"))
    ledger.run(commands.cancel(lease.ref))
    shown = await until_it_ends(feed)
    assert [update.preview.step for update in shown] == [1]
    await feed.aclose()


async def test_who_looks_sees_a_picture_and_nobody_who_follows_does(
    ledger: Ledger, async_ledger: AsyncLedger, worker: Worker
) -> None:
    feed = Feed(async_ledger).listen()
    assert await anext(feed) is None
    other, ref = (submit(ledger, seed=seed, prompt="for ever") for seed in (250, 40))
    while (seen := ledger.run(instances.watch(ref, every=1))) is None:
        pass
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(seen.jpeg))))
    assert picture.shape == (96, 128, 3)
    assert np.abs(picture.astype(int) - 40).max() <= 2
    assert not ledger.client.exists(f"{ledger.root}:preview:{other}")
    for one in (other, ref):
        ledger.run(commands.cancel(one))
        assert ended(ledger, one).state is JobStatus.CANCELED
    assert await until_it_ends(feed) == []
    await feed.aclose()


@pytest.mark.parametrize(
    ("action", "is_asked"),
    [("none", True), ("flag", True), ("blur", False), ("block", False)],
)
def test_no_preview_is_made_where_a_rule_may_withhold_the_picture(
    ledger: Ledger, action: str, is_asked: bool
) -> None:
    rule = ImageRule(name="r", label="l", threshold=0.5, action=ImageAction(action), reason="")
    ledger.run(commands.create(new_job(image_rules=(rule,)), max_queued=9))
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=5))
    ledger.run(instances.watch(lease.ref, every=2))
    inbox, job = Inbox(), ClaimedJob(lease)
    progress = ProgressReports(ledger, inbox)
    progress.step(job, 1, 4)
    progress.send()
    assert inbox.wait(0) == is_asked, "nobody is woken in vain"
    assert inbox.take() == ([Watched(job, 2)] if is_asked else [])


def test_a_full_ledger_costs_the_preview_alone(tmp_path: Path, settings: Settings) -> None:
    server = Valkey(tmp_path)
    server.start()
    url = type(settings.redis_url)(server.url)
    ledger = Ledger.open(settings.model_copy(update={"redis_url": url}))
    ledger.run(commands.create(new_job(), max_queued=9))
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=5))
    ledger.run(instances.watch(lease.ref, every=1))
    ledger.client.config_set("maxmemory", 1)
    inbox, job = Inbox(), ClaimedJob(lease)
    progress = ProgressReports(ledger, inbox)
    progress.step(job, 1, 4)
    progress.preview(job, Preview(job.id, 0, 1, np.zeros((8, 8, 3), dtype=np.uint8)))
    progress.send()
    assert inbox.take() == [Watched(job, 1)]
    assert ledger.run(instances.watch(lease.ref, every=1)) is None
    ledger.close()
    server.stop()


@pytest.mark.parametrize("kind", ["plain", "noise"])
def test_a_preview_is_small_whatever_it_shows(kind: str) -> None:
    shape = (128, 128, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    file = thumbnail(noise if kind == "noise" else np.full(shape, 7, dtype=np.uint8))
    assert len(file) < 12_000
