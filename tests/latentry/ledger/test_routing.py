"""Jobs go to workers that have their adapters in memory, and none waits long for that."""

import random
from collections.abc import Sequence

import pytest

from latentry.contracts import Adapter, Lora
from latentry.ledger import JobRef, Ledger, commands
from latentry.ledger.catalogue import ListedAdapters
from latentry.ledger.leases import Claims
from tests.latentry.ledger.factory import card, new_job, request

INK, PEN = "1" * 64, "2" * 64
LEFT_S = 0.2


def submit(ledger: Ledger, *files: str, tenant: str = "default") -> JobRef:
    loras = tuple(Lora(id=one[0], weight=1.0, text_encoder_weight=1.0, sha256=one) for one in files)
    job = new_job(tenant=tenant, request=request(loras=loras))
    return ledger.run(commands.create(job, max_queued=1000)).ref


def alive(ledger: Ledger, worker: str, *held: str, models: Sequence[str] = ("shapes",)) -> None:
    ledger.run(commands.heartbeat(worker, models, ttl_s=60))
    ledger.run(commands.hold(worker, held, ttl_s=60))


def claim(ledger: Ledger, worker: str, room: int = 9, *, is_full: bool = False) -> Claims:
    return ledger.run(commands.claim(worker, ["shapes"], room=room, lease_s=60, is_full=is_full))


def refs(claims: Claims) -> list[JobRef]:
    return [lease.ref for lease in claims]


def was_left(ledger: Ledger, ref: JobRef) -> bool:
    return bool(ledger.client.hexists(f"{ledger.root}:job:{ref}", "left_ms"))


def in_time(ledger: Ledger, ref: JobRef, s: float) -> None:
    """As if the job had been left so many seconds ago."""
    name = f"{ledger.root}:job:{ref}"
    since = ledger.client.hget(name, "left_ms")
    assert since
    ledger.client.hset(name, "left_ms", int(since) - int(s * 1000))


def test_a_job_is_left_to_the_worker_that_has_its_adapter(ledger: Ledger) -> None:
    alive(ledger, "cold", PEN)
    alive(ledger, "warm", INK)
    ref = submit(ledger, INK)
    claims = claim(ledger, "cold")
    assert refs(claims) == []
    assert 0 < claims.left_ms <= LEFT_S * 1000
    assert claims.waiting == 0, "nothing to ask for again at once"
    assert refs(claim(ledger, "warm")) == [ref]


def test_it_has_all_of_them_or_the_job_is_anybodys(ledger: Ledger) -> None:
    alive(ledger, "cold")
    alive(ledger, "half", INK)
    ref = submit(ledger, INK, PEN)
    assert refs(claim(ledger, "cold")) == [ref]


@pytest.mark.parametrize("how", ["dead", "of another model", "gone cold", "nobody"])
def test_it_is_left_only_to_live_workers_of_its_model(ledger: Ledger, how: str) -> None:
    alive(ledger, "cold")
    if how != "nobody":
        models = ["photos"] if how == "of another model" else ["shapes"]
        alive(ledger, "warm", INK, models=models)
    if how == "dead":
        ledger.run(commands.heartbeat("warm", [], ttl_s=1))
    if how == "gone cold":
        ledger.run(commands.hold("warm", [], ttl_s=60))
    ref = submit(ledger, INK)
    assert refs(claim(ledger, "cold")) == [ref]


def test_a_moment_later_it_is_anybodys(ledger: Ledger) -> None:
    alive(ledger, "cold")
    alive(ledger, "warm", INK)
    ref = submit(ledger, INK)
    assert not claim(ledger, "cold")
    in_time(ledger, ref, LEFT_S)
    claims = claim(ledger, "cold")
    assert refs(claims) == [ref]
    assert claims.left_ms == 0


def test_others_do_not_wait_behind_it(ledger: Ledger) -> None:
    alive(ledger, "cold", PEN)
    alive(ledger, "warm", INK)
    left = [submit(ledger, INK, tenant=tenant) for tenant in ("one", "two", "one")]
    others = [submit(ledger, *files, tenant="one") for files in ((), (PEN,))]
    assert set(refs(claim(ledger, "cold"))) == set(others)
    shares = [claim(ledger, "warm"), claim(ledger, "warm")]
    assert {ref for share in shares for ref in refs(share)} == set(left)


def test_a_full_worker_takes_what_it_has_and_plain_jobs(ledger: Ledger) -> None:
    alive(ledger, "full", PEN)
    cold, warm, plain = submit(ledger, INK), submit(ledger, PEN), submit(ledger)
    claims = claim(ledger, "full", is_full=True)
    assert set(refs(claims)) == {warm, plain}
    assert claims.left_ms == 1000
    assert refs(claim(ledger, "full")) == [cold], "when there is room again"


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_full_worker_leaves_one_under_suspicion_too(ledger: Ledger, deaths: int) -> None:
    """Handed back it would be the first again, and be claimed and handed back without end."""
    alive(ledger, "full", PEN)
    suspect = submit(ledger, INK)
    for number in range(deaths):
        dying = commands.claim(f"dead-{number}", ["shapes"], room=1, lease_s=0)
        [lease] = ledger.run(dying)
        ledger.run(commands.report_progress([(lease, 1, 4)]))
        ledger.run(commands.sweep(lease_s=2))
    plain = submit(ledger)
    claims = claim(ledger, "full", is_full=True)
    assert (refs(claims), claims.left_ms) == ([plain], 1000)
    ledger.run(commands.release(claims[0]))
    assert suspect in refs(claim(ledger, "full", room=1)), "when there is room again"


def test_a_claim_looks_past_a_few_and_no_further(ledger: Ledger) -> None:
    """It has to stay cheap however many wait."""
    alive(ledger, "cold")
    alive(ledger, "warm", INK)
    for _ in range(17):
        submit(ledger, INK)
    plain = submit(ledger)
    assert refs(claim(ledger, "cold")) == []
    claim(ledger, "warm", room=2)
    assert refs(claim(ledger, "cold")) == [plain]


def test_a_full_worker_looks_past_many(ledger: Ledger) -> None:
    """It comes once a second, and would draw nothing until something comes free."""
    alive(ledger, "full")
    for _ in range(65):
        submit(ledger, INK)
    plain = submit(ledger)
    assert refs(claim(ledger, "full", is_full=True)) == []
    claim(ledger, "other", room=1)
    assert refs(claim(ledger, "full", is_full=True)) == [plain]


@pytest.mark.parametrize("seed", range(3))
def test_no_job_waits_longer_than_its_turn_and_a_moment(ledger: Ledger, seed: int) -> None:
    """Whoever claims, whatever they hold: each job is left for LEFT_S at most, then taken."""
    chance = random.Random(seed)
    files, workers = [f"{n:064x}" for n in range(4)], ["a", "b", "c"]
    for worker in workers:
        alive(ledger, worker, *chance.sample(files, 2))
    waiting = set()
    for n in range(24):
        named = chance.sample(files, chance.choice([0, 1, 1, 2]))
        waiting.add(submit(ledger, *named, tenant=f"t{n % 3}"))
    only = chance.choice(workers)  # the others hold adapters and never come
    left = set[JobRef]()
    while waiting:
        claims = claim(ledger, only, room=3)
        waiting -= set(refs(claims))
        left |= {ref for ref in waiting if was_left(ledger, ref)}
        assert claims or claims.left_ms, "it is told when to come again"
        for ref in waiting & left:  # that much later
            in_time(ledger, ref, claims.left_ms / 1000 if not claims else chance.random() / 5)
    assert left, "some were left"


def test_a_model_whose_workers_have_different_adapters_says_so(ledger: Ledger) -> None:
    def differ() -> dict[str, bool]:
        entries = ledger.run(commands.list_models())
        assert all(one.adapters_differ == bool(one.model.warnings) for one in entries)
        return {one.card.id: one.adapters_differ for one in entries}

    def beat(worker: str, models: list[str], adapters: str) -> None:
        ledger.run(commands.heartbeat(worker, models, ttl_s=60, adapters=adapters))

    for model in ("shapes", "photos"):
        ledger.run(commands.register_model(card(model)))
    beat("a", ["shapes", "photos"], "1")
    beat("b", ["shapes"], "1")
    assert differ() == {"shapes": False, "photos": False}
    beat("b", ["shapes"], "2")
    assert differ() == {"shapes": True, "photos": False}
    beat("b", ["shapes"], "")
    assert differ() == {"shapes": True, "photos": False}, "none are others too"
    beat("b", [], "")
    assert differ() == {"shapes": False, "photos": False}


def test_how_many_have_an_adapter_and_each_list_once_are_in_the_catalogue(ledger: Ledger) -> None:
    ink = Adapter(
        id="ink", family="SD 1.x", models=("shapes",), sha256=INK, autov3="", size_bytes=1,
        networks=("unet",),
    )  # fmt: skip
    listed = ListedAdapters.of((ink,))
    for model in ("shapes", "photos"):
        bare = commands.register_model(card(model), listed, in_full=False)
        if model == "shapes":
            assert ledger.run(bare) == -1, "the list has to come first"
            ledger.run(commands.register_model(card(model), listed))
        assert ledger.run(bare) >= 0
    alive(ledger, "a", INK, PEN)
    alive(ledger, "b", INK)
    entries = ledger.run(commands.list_models())
    assert [entry.adapters for entry in entries] == [(ink,), (ink,)]
    assert {entry.digest for entry in entries} == {listed.digest}
    assert entries[0].held == {INK: 2, PEN: 1}
    again = ledger.run(commands.list_models({listed.digest: ()}))
    assert [entry.adapters for entry in again] == [(), ()], "what is known is not sent again"
    ledger.run(commands.register_model(card("photos")))
    gone = {one.card.id: one.adapters for one in ledger.run(commands.list_models())}
    assert gone == {"shapes": (ink,), "photos": ()}
