"""What runs in the background: the sweeper, the bell, retention, ended jobs, metrics."""

import asyncio
import json
import os
from dataclasses import replace

import httpx
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr
from structlog.testing import capture_logs

from latentry.broker import TASK, broker_config, broker_queue
from latentry.contracts import JobStatus, StoredOutput
from latentry.errors import EngineError, FileNotFound, StorageUnavailable
from latentry.ledger import JobRef, Ledger, commands
from latentry.metrics_port import serve_metrics
from latentry.settings import Settings
from latentry.storage import Storage, open_storage, owner_of
from service.background import Background
from service.gateway import Gateway
from service.jobs.bell import Bell
from service.jobs.ledger import GatewayLedger
from tests.latentry.ledger.factory import new_job
from tests.service.fake import FakeWorker
from tests.valkey import free_port

REQUEST = {"prompt": "a red circle"}


def bells(ledger: Ledger, settings: Settings) -> list[dict]:
    prefix = broker_config(settings)["broker_transport_options"]["global_keyprefix"]
    name = prefix + broker_queue(settings, "shapes")
    return [json.loads(text) for text in ledger.client.lrange(name, 0, -1)]


@pytest.fixture
async def gateway(settings: Settings):
    """The parts alone; nothing runs by itself."""
    opened = Gateway.open(settings)
    yield opened
    await opened.close()


@pytest.fixture
def background(gateway: Gateway) -> Background:
    """Its background parts; none of them runs by itself."""
    return Background.of(gateway)


async def test_many_requests_ring_one_bell_that_says_nothing_but_the_model(
    client, worker, ledger: Ledger, settings: Settings
) -> None:
    await asyncio.gather(*(client.post("/v1/generations", json=REQUEST) for _ in range(5)))
    while not (rung := bells(ledger, settings)):
        await client.get("/readyz")
    [bell] = rung
    assert bell["headers"]["task"] == TASK
    assert bell["headers"]["expires"]
    assert "red circle" not in json.dumps(bell)


async def test_a_request_is_accepted_although_its_bell_cannot_be_rung(settings, worker) -> None:
    gateway = Gateway.open(settings)
    nowhere = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    deaf = Bell(settings.model_copy(update={"redis_url": nowhere}), gateway.ledger)
    with capture_logs() as logs:
        await deaf.ring("shapes")
    assert [line["event"] for line in logs] == ["bell.failed"]
    # The right to ring was given back, so that the next one need not wait for it to run out.
    assert await gateway.ledger.run(commands.reserve_bell("shapes", ttl_s=1))
    await deaf.close()
    await gateway.bell.close()
    await gateway.ledger.close()


async def test_while_a_bell_is_on_its_way_the_ledger_is_left_alone(
    gateway, worker, ledger: Ledger, settings: Settings
) -> None:
    gateway.bell.ring_soon("shapes")
    while not bells(ledger, settings):
        await gateway.ledger.run(commands.check_writable())
    ledger.run(commands.release_bell(["shapes"]))  # were it to reserve again, it would succeed
    gateway.bell.ring_soon("shapes")
    await gateway.bell.close()
    assert len(bells(ledger, settings)) == 1


async def test_a_bell_that_could_not_be_rung_is_rung_for_the_next_job(settings) -> None:
    gateway = Gateway.open(settings)
    nowhere = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    deaf = Bell(settings.model_copy(update={"redis_url": nowhere}), gateway.ledger)
    with capture_logs() as logs:
        for _ in range(2):
            deaf.ring_soon("shapes")
            await deaf.flush(within_s=10)
    assert [line["event"] for line in logs] == ["bell.failed", "bell.failed"]
    await deaf.close()
    await gateway.bell.close()
    await gateway.ledger.close()


async def test_a_bell_without_a_ledger_does_no_harm(settings) -> None:
    nowhere = settings.model_copy(
        update={"redis_url": SecretStr(f"redis://127.0.0.1:{free_port()}/0")}
    )
    ledger = GatewayLedger.open(nowhere)
    bell = Bell(nowhere, ledger)
    bell.ring_soon("shapes")
    await bell.close()
    await ledger.close()


async def test_a_sweep_rings_for_a_queue_that_waits_without_a_bell(
    gateway, background, worker, settings
) -> None:
    worker.ledger.run(commands.create(new_job(), max_queued=10))
    await background.sweeper.sweep()
    await gateway.bell.close()
    assert len(bells(worker.ledger, settings)) == 1


async def test_no_bell_is_rung_without_a_worker(
    gateway, background, app, client, worker, settings
) -> None:
    worker.ledger.run(commands.heartbeat("fake", [], ttl_s=1))  # it has left
    assert (await client.post("/v1/generations", json=REQUEST)).status_code == 202
    await background.sweeper.sweep()
    await gateway.bell.close()
    await app.state.gateway.bell.close()
    assert bells(worker.ledger, settings) == []


def finished(worker: FakeWorker, **fields: int) -> StoredOutput:
    """The picture of a job that has ended."""
    worker.ledger.run(commands.create(new_job(**fields), max_queued=10))
    lease = worker.claim()
    image = worker.draw(lease)
    worker.settle(lease)
    return image


async def test_what_is_due_is_forgotten_with_its_pictures(background, worker, settings) -> None:
    image = finished(worker, ttl_ms=0)
    await background.sweeper.sweep()
    assert (settings.data_dir / "images" / image.key).exists()  # a sweep waits for no storage
    await background.retention.remove_due_jobs()
    assert worker.ledger.run(commands.get(JobRef(*owner_of(image.key)))) is None
    assert not (settings.data_dir / "images" / image.key).exists()


async def test_a_picture_that_cannot_be_removed_keeps_neither_sweeps_nor_others_waiting(
    gateway, worker, settings
) -> None:
    stuck, free = finished(worker, ttl_ms=0), finished(worker, ttl_ms=0)

    class Moody(Storage):
        def delete_prefix(self, prefix: str) -> None:
            if stuck.key.startswith(prefix):
                raise StorageUnavailable
            super().delete_prefix(prefix)

    opened = open_storage(settings)
    moody = replace(gateway, storage=Moody(opened.store, opened.link, opened.root))
    background = Background.of(moody)
    await background.sweeper.sweep()
    with capture_logs() as logs:
        await background.retention.remove_due_jobs()
    assert [line["event"] for line in logs] == ["job.not_removed", "job.removed"]
    assert worker.ledger.run(commands.get(JobRef(*owner_of(stuck.key))))
    assert worker.ledger.run(commands.get(JobRef(*owner_of(free.key)))) is None


async def test_the_sweeper_survives_an_outage(settings) -> None:
    nowhere = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    gateway = Gateway.open(settings.model_copy(update={"redis_url": nowhere}))
    with capture_logs() as logs:
        async with Background.of(gateway).running():
            await gateway.event_hub.ended(new_job().ref, within_s=0.5)  # a waiter survives it too
    assert {"sweep.failed", "event_hub.interrupted"} <= {line["event"] for line in logs}


async def test_every_end_is_noted_without_its_prompt(app, client, worker) -> None:
    worker.fails_with = EngineError()
    with capture_logs() as logs:
        job = (await client.post("/v1/generations", json=REQUEST)).json()
        worker.settle(worker.claim(), JobStatus.FAILED)
        while not (ends := [line for line in logs if line["event"] == "job.ended"]):
            await client.get("/readyz")
    [end] = ends
    assert (end["job"], end["status"], end["code"]) == (job["id"], "failed", "engine_error")
    assert "red circle" not in json.dumps(logs, default=str)
    figures = generate_latest(app.state.gateway.metrics.registry).decode()
    assert 'latentry_jobs_ended_total{code="engine_error",model="shapes"' in figures


async def test_the_figures_name_routes_and_queues(app, client, worker: FakeWorker) -> None:
    job = (await client.post("/v1/generations", json=REQUEST)).json()
    await client.get(f"/v1/generations/{job['id']}")
    await client.get("/v1/generations/gen_" + "0" * 32)
    await client.get("/secret/path")
    await app.state.background.sweeper.sweep()
    figures = generate_latest(app.state.gateway.metrics.registry).decode()
    total, one = "latentry_http_requests_total", "/v1/generations/{job_id}"
    for line in (
        f'{total}{{method="POST",route="/v1/generations",status="202"}} 1.0',
        f'{total}{{method="GET",route="{one}",status="200"}} 1.0',
        f'{total}{{method="GET",route="{one}",status="404"}} 1.0',
        f'{total}{{method="GET",route="unmatched",status="404"}} 1.0',
        'latentry_jobs_accepted_total{model="shapes"} 1.0',
        'latentry_queue_jobs{model="shapes"} 1.0',
        'latentry_workers{model="shapes"} 1.0',
    ):
        assert line in figures
    assert job["id"] not in figures


async def test_metrics_are_on_a_port_of_their_own(settings, client) -> None:
    gateway = Gateway.open(settings)
    port = free_port()
    own = settings.model_copy(update={"metrics_port": port})
    serve_metrics(gateway.metrics.registry, own, "metrics_port")
    async with httpx.AsyncClient() as scraper:
        assert "latentry_http_requests" in (await scraper.get(f"http://127.0.0.1:{port}")).text
    assert (await client.get("/metrics")).status_code == 404
    await gateway.ledger.close()


async def test_old_pictures_go_once_their_job_is_gone(settings, background, worker) -> None:
    kept = finished(worker)
    storage = open_storage(settings)
    storage.put("default/gen_x1/1-0.png", b"young orphan")
    storage.put("default/gen_x2/1-0.png", b"old orphan")
    for key in (kept.key, "default/gen_x2/1-0.png"):
        os.utime(settings.data_dir / "images" / key, (0, 0))
    await background.retention.remove_orphans()
    assert storage.get(kept.key)
    assert storage.get("default/gen_x1/1-0.png")
    with pytest.raises(FileNotFound):
        storage.get("default/gen_x2/1-0.png")
