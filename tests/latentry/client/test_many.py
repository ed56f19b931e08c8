"""Many jobs at once, pages, and pictures in and out, with both clients."""

import asyncio
import inspect
import io
import json
import threading

import httpx
import pytest
from PIL import Image as Pillow

from latentry import AsyncClient, Client, InvalidRequest, JobDidNotSucceed, contracts
from latentry.client import JobList, Output, StillRunning
from latentry.contracts import File, JobStatus
from latentry.contracts.wire import Listing
from latentry.errors import InvalidIdempotencyKey
from tests.latentry.client.conftest import BASE_URL, at_once, image, job, json_response, problem
from tests.latentry.client.stub import answer, serving


class Service:
    """Answers by the request, and remembers how many were under way at once."""

    def __init__(self, kind, respond):
        self.respond, self.sent = respond, []
        self.now, self.most, self.lock = 0, 0, threading.Lock()
        is_async = kind is AsyncClient
        transport = httpx.MockTransport(self._slowly if is_async else self._answer)
        self.client = kind(BASE_URL, transport=transport, retries=at_once())

    def _answer(self, request):
        self.sent.append(request)
        return self.respond(request)

    async def _slowly(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return self._answer(request)

    async def __call__(self, method, *args, **fields):
        result = getattr(self.client, method)(*args, **fields)
        if inspect.isawaitable(result):
            return await result
        if inspect.isasyncgen(result):
            return [one async for one in result]
        return list(result) if inspect.isgenerator(result) else result


@pytest.fixture(params=[Client, AsyncClient])
def service(request):
    return lambda respond: Service(request.param, respond)


def draw(request):
    """A job whose id is its prompt; one prompt fails, and one is refused."""
    prompt = json.loads(request.content)["prompt"]
    if prompt == "refused":
        return problem(422, "invalid_prompt")
    status = JobStatus.FAILED if prompt == "fails" else JobStatus.SUCCEEDED
    return json_response(job(status, job_id=prompt))


def ends(request):
    job_id = request.url.path.rsplit("/", 1)[-1]
    status = JobStatus.RUNNING if job_id == "slow" else JobStatus.SUCCEEDED
    return json_response(job(status, job_id=job_id))


async def test_map_gives_results_in_order_and_failures_as_errors(service):
    call, seen = service(draw), {}
    asked = ["a", {"prompt": "refused", "seed": 1}, "fails", "b"]
    results = await call("map", asked, done=seen.__setitem__, num_inference_steps=5)
    assert [results[0].id, results[3].id] == ["a", "b"]
    assert results[1].code == "invalid_prompt"
    assert isinstance(results[2], JobDidNotSucceed)
    assert seen == dict(enumerate(results))
    bodies = [json.loads(request.content) for request in call.sent]
    assert {body["num_inference_steps"] for body in bodies} == {5}
    assert {body.get("seed") for body in bodies} == {1, None}
    assert len({request.headers["Idempotency-Key"] for request in call.sent}) == 4


async def test_map_sends_nothing_if_one_of_its_requests_is_invalid(service):
    call = service(draw)
    with pytest.raises(InvalidRequest, match=r"Request 1: width: .*multiple of 8"):
        await call("map", ["a", {"prompt": "b", "width": 129}])
    with pytest.raises(InvalidRequest, match="concurrency"):
        await call("map", ["a"], concurrency=0)
    assert await call("map", []) == []
    assert call.sent == []


async def test_what_is_no_list_of_requests_or_jobs_is_refused_before_it_is_sent(service):
    call = service(draw)
    for method in ("map", "submit_all"):
        for one in ("a frog", {"prompt": "a frog"}):  # not drawn letter by letter
            with pytest.raises(InvalidRequest, match="must be a list"):
                await call(method, one)
        with pytest.raises(InvalidRequest, match=r"Request 1: .* not int"):
            await call(method, ["a", 5])
    for method in ("wait_all", "as_completed"):
        for one in ("gen_1", job()):
            with pytest.raises(InvalidRequest, match="must be a list"):
                await call(method, one)
        with pytest.raises(InvalidRequest, match=r"Job 1: .* not InvalidRequest"):
            await call(method, ["gen_1", InvalidRequest()])  # as `submit_all` answers
    assert call.sent == []


def take(request):
    """A batch of which one prompt is refused; a single request is accepted."""
    body = json.loads(request.content)
    if "requests" not in body:
        return json_response(job(JobStatus.QUEUED, body["prompt"]), 202)
    items = []
    for index, each in enumerate(body["requests"]):
        if each["prompt"] == "refused":
            said = json.loads(problem(422, "invalid_prompt").content)
            items.append({"index": index, "status": 422, "problem": said, "retry_after_s": 7})
        else:
            made = job(JobStatus.QUEUED, each["prompt"]).model_dump(mode="json")
            items.append({"index": index, "status": 202, "job": made})
    return httpx.Response(200, json={"object": "list", "data": items})


async def test_many_are_submitted_64_a_call_and_each_is_accepted_or_refused(service):
    one = service(take)
    prompts = [f"p{number}" for number in range(70)]
    large = {"prompt": "x" * 8, "image": "data:image/png;base64," + "A" * 1_000_000}
    *accepted, refused, large = await one("submit_all", [*prompts, "refused", large], n=2)
    assert [each.id for each in accepted] == prompts
    assert (refused.code, refused.status, refused.retry_after_s) == ("invalid_prompt", 422, 7)
    assert large.id == "xxxxxxxx", "what fits no batch goes by itself"
    assert [request.url.path.rpartition("/")[2] for request in one.sent] == [
        *("generations:batch", "generations:batch", "generations")
    ]
    assert len({request.headers["Idempotency-Key"] for request in one.sent}) == 3
    assert json.loads(one.sent[0].content)["requests"][0] == {"prompt": "p0", "n": 2}


async def test_a_call_that_fails_is_the_failure_of_its_own_requests_alone(service):
    answers = iter([problem(503, "queue_full")] * 5 + [None])
    one = service(lambda request: next(answers) or take(request))
    results = await one("submit_all", [f"p{number}" for number in range(66)])
    assert {each.code for each in results[:64]} == {"queue_full"}
    assert [each.id for each in results[64:]] == ["p64", "p65"]


async def test_a_key_of_ones_own_is_each_requests_with_its_number(service):
    """As the service adds the index to a batch's, so that a repeat finds the same jobs."""
    one = service(take)
    prompts = [f"p{number}" for number in range(65)]
    await one("submit_all", prompts, idempotency_key="order 17")
    await one("submit_all", [*prompts, "p65"], idempotency_key="order 17")
    await one("submit_all", ["p0"], idempotency_key="order 17")
    keys = [request.headers["Idempotency-Key"] for request in one.sent]
    assert keys == ["order 17", "order 17:64", "order 17", "order 17:64", "order 17:0"]
    call = service(draw)
    await call("map", ["a", "b"], idempotency_key="order 17")
    keys = [request.headers["Idempotency-Key"] for request in call.sent]
    assert sorted(keys) == ["order 17:0", "order 17:1"]


async def test_a_key_of_ones_own_is_kept_by_retries(service):
    answers = iter([problem(503, "queue_full"), None, problem(503, "queue_full"), None])
    one = service(lambda request: next(answers) or take(request))
    await one("submit_all", [f"p{number}" for number in range(66)], idempotency_key="k")
    keys = [request.headers["Idempotency-Key"] for request in one.sent]
    assert keys == ["k", "k", "k:64", "k:64"]


@pytest.mark.parametrize("method", ["map", "submit_all"])
async def test_an_invalid_key_of_ones_own_is_refused_before_anything_is_sent(service, method):
    one = service(take)
    with pytest.raises(InvalidIdempotencyKey):
        await one(method, ["a", "b"], idempotency_key="ключ")
    assert one.sent == []


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_tasks_call_at_once_than_allowed(concurrency):
    call = Service(AsyncClient, draw)
    assert len(await call("map", ["a"] * 20, concurrency=concurrency)) == 20
    assert call.most == concurrency


def test_no_more_threads_call_at_once_than_allowed():
    meeting = threading.Barrier(3)

    def respond(request):
        meeting.wait(10)  # three come together, or none leaves
        return draw(request)

    call = Service(Client, respond)
    before = threading.active_count()
    results = call.client.map(["a"] * 9, concurrency=3)
    assert len(results) == 9
    assert threading.active_count() <= before + 3


async def test_jobs_are_waited_for_by_id_or_as_jobs(service):
    call = service(ends)
    jobs = ["a", job(JobStatus.QUEUED, job_id="b"), "a"]
    assert [done.id for done in await call("wait_all", jobs)] == ["a", "b", "a"]
    assert sorted(done.id for done in await call("as_completed", jobs)) == ["a", "a", "b"]
    assert (await call("wait", job(JobStatus.QUEUED, job_id="c"))).done


async def test_one_timeout_bounds_all_waits(service):
    call = service(ends)
    with pytest.raises(StillRunning, match="slow"):
        await call("wait_all", ["slow"] * 20, concurrency=1, timeout_s=0)
    assert len(call.sent) == 1, "the others were not waited for"


async def test_all_pages_are_read(service):
    pages = {None: ("a", "2"), "2": ("b", "3"), "3": ("c", None)}

    def respond(request):
        found, following = pages[request.url.params.get("cursor")]
        return json_response(JobList(data=[job(job_id=found)], next_cursor=following))

    call = service(respond)
    assert [found.id for found in await call("list_all")] == ["a", "b", "c"]


def test_a_page_is_a_sequence_of_jobs():
    page = JobList(data=[job(job_id="a"), job(job_id="b")])
    assert [found.id for found in page] == ["a", "b"]
    assert (len(page), page[1].id) == (2, "b")
    assert JobList.model_validate_json(page.model_dump_json()) == page


def test_everything_that_lists_iterates_over_what_it_lists():
    models = [kind for kind in vars(contracts).values() if isinstance(kind, type)]
    lists = [kind for kind in models if kind.__name__.endswith("List")]
    assert len(lists) > 4
    assert [kind for kind in lists if not issubclass(kind, Listing)] == []


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_knows_whether_it_is_done(status):
    assert job(status).done == (status not in ("queued", "running"))


FILE = File(
    id="file_1",
    bytes=7,
    width=8,
    height=8,
    content_type="image/png",
    sha256="0" * 64,
    created_at="2026-01-01T00:00:00Z",
    expires_at="2026-01-02T00:00:00Z",
)


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "bytearray", "file", "pillow"])
async def test_a_picture_is_uploaded_in_whatever_form_it_is_there(service, tmp_path, kind):
    picture = Pillow.new("RGB", (8, 8), "red")
    path = tmp_path / "a.png"
    picture.save(path)
    data = path.read_bytes()
    forms = {"path": path, "str": str(path), "bytes": data, "bytearray": bytearray(data)}
    forms |= {"file": io.BytesIO(data), "pillow": picture}
    call = service(lambda _: json_response(FILE))
    assert (await call("upload", forms[kind])).id == "file_1"
    assert call.sent[0].content == data


@pytest.mark.parametrize("wrong", [None, 5, io.StringIO("text")])
async def test_what_is_no_picture_is_refused_by_name(service, wrong):
    call = service(lambda _: json_response(FILE))
    with pytest.raises(InvalidRequest, match=f"not {type(wrong).__name__}"):
        await call("upload", wrong)
    with pytest.raises(FileNotFoundError):
        await call("upload", "/nowhere.png")
    assert call.sent == []


async def test_an_input_may_be_a_path_as_text(service, tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    call = service(draw)
    await call("submit", "a", image=str(tmp_path / "a.png"), mask="file_1")
    body = json.loads(call.sent[0].content)
    assert body["image"] == "data:application/octet-stream;base64,cGljdHVyZQ=="
    assert body["mask"] == "file_1"


async def test_images_are_saved_as_files(service, tmp_path):
    call = service(lambda request: httpx.Response(200, content=request.url.path.encode()))
    two = job(images=[image(index, f"{BASE_URL}/v1/files/{index}.png?s=1") for index in (0, 1)])
    two = two.model_copy(update={"request": two.request.model_copy(update={"n": 2})})
    assert await call("save", two, tmp_path / "out.png") == [
        tmp_path / "out-1.png",
        tmp_path / "out-2.png",
    ]
    assert (tmp_path / "out-2.png").read_bytes() == b"/v1/files/1.png"
    assert await call("save", two, tmp_path) == [tmp_path / "job-1-1.png", tmp_path / "job-1-2.png"]
    assert await call("save", two.images[0], str(tmp_path)) == [tmp_path / "0.png"]
    assert await call("save", two.images[1].url, tmp_path / "b.png") == [tmp_path / "b.png"]


async def test_a_clip_is_saved_instead_of_its_frames(service, tmp_path):
    call = service(lambda request: httpx.Response(200, content=b"moving"))
    moving = image().model_dump() | {"content_type": "image/gif"}
    clip = Output(**moving, kind=contracts.OutputKind.CLIP, name="clip")
    made = job(images=[image(), image(1)], outputs=[clip])
    assert await call("save", made, tmp_path / "out.gif") == [tmp_path / "out.gif"]


async def test_an_image_opens_in_pillow(service):
    file = io.BytesIO()
    Pillow.new("RGB", (8, 16), "red").save(file, "PNG")
    call = service(lambda _: httpx.Response(200, content=file.getvalue()))
    picture = await call("pil", image())
    assert (picture.size, picture.getpixel((0, 0))) == ((8, 16), (255, 0, 0))


def test_a_reader_that_stops_early_is_not_kept_waiting():
    held, released = threading.Event(), threading.Event()

    async def respond(scope, receive, send):
        job_id = scope["path"].rsplit("/", 1)[-1]
        if job_id == "slow":
            held.set()
            await asyncio.to_thread(released.wait, 20)
        done = job(job_id=job_id).model_dump_json()
        await answer(send, 200, "application/json", done.encode())

    with serving(respond) as url, Client(url) as client:
        completed = client.as_completed(["slow", "quick"])
        assert next(completed).id == "quick"
        assert held.wait(10)
        completed.close()
        assert not released.is_set()
        released.set()


@pytest.mark.parametrize("method", ["map", "submit_all"])
async def test_a_key_that_is_too_long_with_a_number_is_refused_before_any_is_sent(service, method):
    one = service(lambda _: pytest.fail("nothing is to be sent"))
    with pytest.raises(InvalidIdempotencyKey):
        await one(method, [f"p{number}" for number in range(11)], idempotency_key="k" * 253)
