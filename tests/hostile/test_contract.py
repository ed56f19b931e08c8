"""Whatever is sent to whichever route, the response is one that the document describes."""

from collections.abc import Sequence

import pytest
from starlette.responses import Response

from latentry.contracts import InputFile, JobKind, ResolvedRequest, ResolvedUpscale
from service.doors.native.catalogue import models
from tests.e2e.processes import until
from tests.hostile import contract
from tests.hostile.bodies import EDITED, TRIED
from tests.kinds import KINDS
from tests.modes import MODES
from tests.service.fake import FakeWorker

# Their many fields, as forms and as JSON, take as long as all other routes together: field by field
# they are tried by `make faults`.
OPENAI_ONLY = "^/v1/images/"
A1111_ONLY = "^/(sdapi|internal|controlnet)/"
# Those of theirs that create jobs.
_PREDICTIONS = "replicate/v1/(predictions|models/.owner./.name./predictions)$"
PEERS_ONLY = f"^/({_PREDICTIONS}|hf/.model.$)"
# Health fails as it should once the fake worker's only heartbeat is over.
OURS_ONLY = f"^/(?!v1/images/|sdapi/|internal/|controlnet/|{_PREDICTIONS}|hf/.model.($|/health))"
# Each has the fields of several generations: four of seven thousand cases were of it alone.
INTERPOLATIONS = "/v1/interpolations"
JSON = {"content-type": "application/json"}


def tried(
    url: str,
    worker: FakeWorker,
    *,
    examples: int,
    least: int,
    within_s: int,
    without: Sequence[str] = (),
) -> None:
    accepted: list[ResolvedRequest | ResolvedUpscale] = []
    worker.on_claim = lambda lease: accepted.append(lease.record.request)
    with worker:
        report = contract.run(
            url, examples=examples, within_s=within_s, only=OURS_ONLY, without=without
        )
        until_idle(worker)
    print(f"{report.cases} cases, {len(accepted)} jobs")
    assert report.is_clean, report.said
    assert report.cases >= least, report.said
    wanted = {name for name, kind in KINDS.items() if kind.path not in without}
    assert wanted - {one.metadata.get(TRIED) for one in accepted} == set()
    possible = {name for name, mode in MODES.items() if mode.channels != 8}  # others are refused
    assert {mode for mode in possible if not any(is_of(mode, one) for one in accepted)} == set()


def tried_at_openais(
    url: str, worker: FakeWorker, *, examples: int, within_s: int, **how: str
) -> set[str | None]:
    """The ways to edit that were accepted."""
    accepted = set[str | None]()
    worker.on_claim = lambda lease: accepted.add(lease.record.request.metadata.get(TRIED))
    with worker:
        report = contract.run(url, examples=examples, within_s=within_s, only=OPENAI_ONLY, **how)
        until_idle(worker)
    print(f"{report.cases} cases, {len(accepted)} ways to edit")
    assert report.is_clean, report.said
    assert report.cases >= 2 * examples, report.said
    return accepted


def tried_at_peers(
    url: str, worker: FakeWorker, *, examples: int, within_s: int, **how: str
) -> None:
    accepted: list[str] = []
    worker.on_claim = lambda lease: accepted.append(lease.ref.id)
    with worker:
        report = contract.run(url, examples=examples, within_s=within_s, only=PEERS_ONLY, **how)
        until_idle(worker)
    print(f"{report.cases} cases, {len(accepted)} jobs")
    assert report.is_clean, report.said
    assert report.cases >= 2 * examples, report.said
    assert accepted


def until_idle(worker: FakeWorker) -> None:
    """All that was accepted is claimed: on a busy machine that is behind."""
    queues = [f"{worker.ledger.root}:queue:{name}" for name in worker.queues]
    until(lambda: not any(map(worker.ledger.client.zcard, queues)), 60, "claiming all")


def is_of(mode: str, request: ResolvedRequest | ResolvedUpscale) -> bool:
    """Whether it is a generation that has what the mode has of its own."""
    if request.kind is not JobKind.GENERATION:
        return False
    fields = request.model_dump(mode="json", exclude_none=True)
    wanted = MODES[mode].as_resolved(1)
    return all(_is_in(wanted[name], fields.get(name)) for name in wanted)


def _is_in(wanted: object, found: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            _is_in(wanted[name], found.get(name)) for name in wanted
        )
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(found) == len(wanted)
        return same and all(map(_is_in, wanted, found))
    return found is not None if isinstance(wanted, InputFile) else found == wanted


@pytest.mark.timeout(420)
def test_every_route_keeps_its_word(url: str, worker: FakeWorker) -> None:
    without = (INTERPOLATIONS,)
    tried(url, worker, examples=3, least=500, within_s=400, without=without)


@pytest.mark.timeout(240)
def test_interpolations_keep_their_word(url: str, worker: FakeWorker) -> None:
    accepted = set[str | None]()
    worker.on_claim = lambda lease: accepted.add(lease.record.request.metadata.get(TRIED))
    with worker:
        report = contract.run(
            url,
            examples=80,
            within_s=230,
            only=f"^{INTERPOLATIONS}$",
            phases="examples,fuzzing",
        )
        until_idle(worker)
    print(f"{report.cases} cases, {len(accepted)} kinds")
    assert report.is_clean, report.said
    assert {name for name, kind in KINDS.items() if kind.path == INTERPOLATIONS} <= accepted


@pytest.mark.timeout(240)
def test_openais_routes_keep_their_word(url: str, worker: FakeWorker) -> None:
    accepted = tried_at_openais(url, worker, examples=40, within_s=230, phases="examples,fuzzing")
    assert accepted & set(EDITED), "which of them, chance decides; the longer test has all"


@pytest.mark.timeout(240)
def test_replicates_and_hugging_faces_routes_keep_their_word(url: str, worker: FakeWorker) -> None:
    tried_at_peers(url, worker, examples=30, within_s=230, phases="examples,fuzzing")


@pytest.mark.timeout(240)
def test_automatic1111s_routes_keep_their_word(url: str, worker: FakeWorker) -> None:
    with worker:
        report = contract.run(
            url, examples=8, within_s=230, only=A1111_ONLY, phases="examples,fuzzing"
        )
    assert report.is_clean, report.said
    assert report.cases >= 100, report.said


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_theirs_keep_their_word_field_by_field(url: str, worker: FakeWorker) -> None:
    tried_at_peers(url, worker, examples=150, within_s=880)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_automatic1111s_routes_keep_their_word_field_by_field(url: str, worker: FakeWorker) -> None:
    with worker:
        report = contract.run(url, examples=60, within_s=880, only=A1111_ONLY)
    assert report.is_clean, report.said


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_openais_routes_keep_their_word_field_by_field(url: str, worker: FakeWorker) -> None:
    accepted = tried_at_openais(url, worker, examples=220, within_s=880)
    assert set(EDITED) - accepted == set()


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_every_route_keeps_its_word_three_thousand_times(url: str, worker: FakeWorker) -> None:
    tried(url, worker, examples=220, least=3_000, within_s=880)


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
def test_every_route_keeps_its_word_twenty_thousand_times(url: str, worker: FakeWorker) -> None:
    tried(url, worker, examples=1_600, least=20_000, within_s=3_500)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Response('{"object": "list", "data": [], "at": "/home/me/x"}', headers=JSON), "says"),
        (Response("boom", 500), "Server error"),
        (Response('{"data": 7}', headers=JSON), "violates schema"),
    ],
    ids=["leaks", "breaks", "differs"],
)
def test_a_route_that_does_not_is_found(url, worker, monkeypatch, answer, found) -> None:
    monkeypatch.setattr(models, "json_response", lambda *_: answer)
    report = contract.run(url, examples=1, within_s=120, only="^/v1/models$")
    assert not report.is_clean
    assert found in report.said
