"""How far a key's jobs are, with pictures on their way for who looks."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from latentry.ledger import Lease, Ledger, commands, instances
from latentry.settings import Settings
from service.app import create_app
from tests.hostile.pictures import encoded
from tests.service.doors.automatic1111.conftest import (
    IDLE,
    PENDING,
    PROGRESS,
    TASK,
    settled,
)

JPEG = encoded("JPEG", size=(64, 48))
OPTIONS = "/sdapi/v1/options"


def show(ledger: Ledger, lease: Lease, step: int = 1) -> bool:
    """What a worker does that makes a preview."""
    return ledger.run(instances.keep_preview(lease, 0, step, JPEG))


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another gateway of the fleet."""
    made = create_app(settings)
    async with made.router.lifespan_context(made):
        transport = httpx.ASGITransport(made)
        async with httpx.AsyncClient(transport=transport, base_url="http://other") as opened:
            yield opened


@pytest.fixture
def begun(client, worker, drawing) -> Callable[..., Any]:
    """Begins a request of these headers, and runs its job."""

    async def begin(headers: dict[str, str], **fields: Any) -> Lease:
        drawing(headers, **fields)
        await settled(client, headers, 1)
        return worker.claim()

    return begin


async def looked(client, headers: dict[str, str], **query: Any) -> str | None:
    return (await client.get(PROGRESS, headers=headers, params=query)).json()["current_image"]


async def followed(client, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    asked = {"id_task": "task(1)", "id_live_preview": -1} | body
    return (await client.post(TASK, json=asked, headers=headers)).json()


async def test_an_idle_instance_says_so(client, worker) -> None:
    """SillyTavern waits for this after it has set a model."""
    found = (await client.get(f"{PROGRESS}?skip_current_image=true")).json()
    assert IDLE.items() <= found.items()
    assert (found["state"]["job_count"], found["current_image"]) == (0, None)
    assert (await client.get(PENDING)).json() == {"size": 0, "tasks": []}


async def test_progress_is_of_this_key_s_oldest_job(client, worker, keys, drawing, ledger) -> None:
    mine, *others = keys
    first = drawing(mine, force_task_id="task(1)")
    await settled(client, mine, 1)
    second = drawing(mine)
    found = await settled(client, mine, 2)
    assert (found["progress"], found["state"]["job"]) == (0.01, "task(1)")
    assert (await client.get(PENDING, headers=mine)).json()["size"] == 2
    lease = worker.claim()
    worker.step(lease, 2)
    found = (await client.get(PROGRESS, headers=mine)).json()
    assert found["progress"] == pytest.approx(0.51)
    assert (found["state"]["sampling_step"], found["state"]["sampling_steps"]) == (2, 4)
    for other in others:
        assert IDLE.items() <= (await client.get(PROGRESS, headers=other)).json().items()
        assert (await client.get(PENDING, headers=other)).json()["size"] == 0
    for task in (first, second):
        assert not task.done()


async def test_a_task_is_followed_by_its_id(client, worker, keys, drawing) -> None:
    mine, *others = keys

    async def told(headers: dict[str, str], id: str | None = "task(1)") -> dict[str, Any]:
        body = {"id_task": id, "id_live_preview": -1, "live_preview": True}
        return (await client.post(TASK, json=body, headers=headers)).json()

    unknown = await told(mine)
    assert not any(unknown[name] for name in ("active", "queued", "completed"))
    posted = drawing(mine, force_task_id="task(1)")
    await settled(client, mine, 1)
    assert (await told(mine))["textinfo"] == "In queue: 1/1"
    assert (await told(mine))["queued"]
    lease = worker.claim()
    worker.step(lease, 1)
    running = await told(mine)
    assert (running["active"], running["progress"]) == (True, pytest.approx(0.26))
    for other in others:  # as of a task that never was
        assert await told(other) == unknown
    assert await told(mine, None) == unknown
    worker.finish(lease)
    assert (await posted).status_code == 200
    assert (await told(mine))["completed"]


async def test_who_looks_sees_a_picture_through_any_gateway(
    client, elsewhere, keys, begun, ledger
) -> None:
    mine, *others = keys
    lease = await begun(mine, force_task_id="task(1)")
    assert not show(ledger, lease), "nobody has looked"
    assert await looked(elsewhere, mine) is None
    assert show(ledger, lease)
    for gateway in (client, elsewhere):
        seen = await looked(gateway, mine)
        assert seen
        assert base64.b64decode(seen) == JPEG
        live = (await followed(gateway, mine))["live_preview"]
        assert live == f"data:image/jpeg;base64,{seen}"
    for other in others:
        assert await looked(client, other) is None
        assert (await followed(client, other))["live_preview"] is None


async def test_webuiapi_sees_its_own_key_s_pictures_alone(url: str, keys, begun, ledger) -> None:
    webuiapi = pytest.importorskip("webuiapi", reason="webuiapi is not installed: `make setup`")

    def opened(headers: dict[str, str]) -> Any:
        name, key = base64.b64decode(headers["Authorization"].split()[1]).decode().split(":")
        return webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1", username=name, password=key)

    async def progress(api: Any) -> dict[str, Any]:
        return await asyncio.to_thread(api.get_progress)

    mine, neighbour = [await asyncio.to_thread(opened, headers) for headers in keys[:2]]
    lease = await begun(keys[0])
    assert (await progress(mine))["current_image"] is None
    show(ledger, lease)
    found = await progress(mine)
    assert Image.open(io.BytesIO(base64.b64decode(found["current_image"]))).size == (64, 48)
    assert found["state"]["job_count"] == 1
    idle = await progress(neighbour)
    assert (idle["progress"], idle["state"]["job_count"]) == (0, 0)
    assert idle["current_image"] is None


async def test_others_looks_have_nothing_made(client, keys, begun, ledger) -> None:
    lease = await begun(keys[0], force_task_id="task(1)")
    for other in keys[1:]:
        await looked(client, other)
        await followed(client, other)
    assert not show(ledger, lease)


async def test_a_poll_that_skips_pictures_has_none_made(client, begun, ledger) -> None:
    lease = await begun({}, force_task_id="task(1)")
    assert await looked(client, {}, skip_current_image=True) is None
    assert (await followed(client, {}, live_preview=False))["live_preview"] is None
    assert not show(ledger, lease)
    await looked(client, {})
    assert show(ledger, lease)
    assert await looked(client, {}, skip_current_image=True) is None
    assert (await followed(client, {}, live_preview=False))["live_preview"] is None


async def test_a_picture_that_the_client_has_is_not_sent_again(client, begun, ledger) -> None:
    lease = await begun({}, force_task_id="task(1)")
    first = await followed(client, {})
    assert (first["live_preview"], first["id_live_preview"]) == (None, -1)
    show(ledger, lease, 3)
    seen = await followed(client, {})
    assert seen["live_preview"]
    again = await followed(client, {}, id_live_preview=seen["id_live_preview"])
    assert again["live_preview"] is None
    assert again["id_live_preview"] == seen["id_live_preview"]
    show(ledger, lease, 4)
    later = await followed(client, {}, id_live_preview=seen["id_live_preview"])
    assert later["live_preview"]
    assert later["id_live_preview"] != seen["id_live_preview"]
    unsent = await followed(client, {}, id_live_preview=77, live_preview=False)
    assert unsent["id_live_preview"] == 77


async def test_there_is_no_picture_before_and_after(client, worker, drawing, ledger) -> None:
    posted = drawing({}, force_task_id="task(1)")
    await settled(client, {}, 1)
    assert await looked(client, {}) is None
    assert (await followed(client, {}))["id_live_preview"] == -1
    lease = worker.claim()
    assert not show(ledger, lease), "a look at a waiting job is none"
    await looked(client, {})
    show(ledger, lease)
    worker.finish(lease)
    assert (await posted).status_code == 200
    assert await looked(client, {}) is None
    ended = await followed(client, {})
    assert (ended["completed"], ended["live_preview"]) == (True, None)


@pytest.mark.parametrize(
    ("options", "every"),
    [
        ({}, 1),
        ({"show_progress_every_n_steps": 10}, 10),
        ({"show_progress_every_n_steps": 0}, 1),
        ({"show_progress_every_n_steps": -1}, None),
        ({"live_previews_enable": False}, None),
    ],
)
async def test_options_say_whether_and_after_how_many_steps(
    client, begun, ledger, options: dict[str, Any], every: int | None
) -> None:
    assert (await client.post(OPTIONS, json=options)).status_code == 200
    lease = await begun({})
    await looked(client, {})
    reported = ledger.run(commands.report_progress([(lease, 1, 4)]))
    assert reported.watched == (((0, every),) if every else ())


async def test_formats_are_not_a_matter_of_options(client, worker) -> None:
    sent = {"live_previews_image_format": "png", "show_progress_type": "Full"}
    answer = await client.post(OPTIONS, json=sent)
    assert set(answer.headers["X-Ignored-Fields"].split(", ")) == sent.keys()


@pytest.mark.parametrize("every", [-2, 1_001, "often", 1.5])
async def test_an_impossible_number_of_steps_is_refused(client, worker, every: object) -> None:
    answer = await client.post(OPTIONS, json={"show_progress_every_n_steps": every})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")


async def test_a_hundred_polls_at_once_are_answered(client, begun, ledger) -> None:
    lease = await begun({})
    await looked(client, {})
    show(ledger, lease)
    seen = await asyncio.gather(*(looked(client, {}) for _ in range(100)))
    assert set(seen) == {base64.b64encode(JPEG).decode()}
    asked = [ledger.run(commands.report_progress([(lease, 1, 4)])).watched for _ in range(5)]
    assert [bool(watched) for watched in asked] == [True, False, False, False, False]


async def test_a_job_s_time_is_when_it_was_created(client, begun) -> None:
    await begun({})
    stamp = (await client.get(PROGRESS)).json()["state"]["job_timestamp"]
    assert len(stamp) == 14
    assert stamp.startswith("20")
