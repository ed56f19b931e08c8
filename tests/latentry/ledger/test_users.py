"""Which job is next among a tenant's own: its users take turns by cost."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from latentry.contracts import Priority
from latentry.errors import QueueFull
from latentry.ledger import JobRef, Lease, Ledger, commands
from tests.latentry.ledger.audit import audit
from tests.latentry.ledger.factory import new_job

MOST_TAGS = 10_000


class Product:
    """A tenant and those on whose behalf its jobs are; it knows whose each job is."""

    def __init__(self, ledger: Ledger, tenant: str = "product") -> None:
        self.ledger, self.tenant, self.users = ledger, tenant, dict[JobRef, str]()

    def enter(self, user: str = "", *, jobs: int = 1, **fields: Any) -> list[JobRef]:
        news = [new_job(tenant=self.tenant, user=user, **fields) for _ in range(jobs)]
        for new in news:
            self.ledger.run(commands.create(new, max_queued=100_000))
            self.users[new.ref] = user
        return [new.ref for new in news]

    def claim(self, room: int = 1, models: tuple[str, ...] = ("shapes",)) -> list[Lease]:
        return self.ledger.run(commands.claim("w", models, room=room, lease_s=60))

    def served(self, room: int = 1, models: tuple[str, ...] = ("shapes",)) -> list[str]:
        """Whose jobs are next."""
        return [self.users[lease.ref] for lease in self.claim(room, models)]

    def position(self, ref: JobRef) -> int | None:
        record = self.ledger.run(commands.get(ref))
        assert record
        return record.position

    def keys(self) -> set[str]:
        """What the ledger has of users."""
        names = self.ledger.client.keys(f"{self.ledger.root}:user*")
        return {name.removeprefix(f"{self.ledger.root}:") for name in names}


@pytest.fixture
def product(ledger: Ledger) -> Product:
    return Product(ledger)


def test_a_user_s_one_job_is_next_whatever_another_has_waiting(product: Product) -> None:
    product.enter("flood", jobs=200)
    product.claim(room=8)
    product.enter("guest")
    assert "guest" in product.served(room=2)


@pytest.mark.parametrize(("first", "second"), [("flood", ""), ("", "guest")])
def test_jobs_without_a_user_are_one_user_s(product: Product, first: str, second: str) -> None:
    product.enter(first, jobs=200)
    product.claim(room=8)
    product.enter(second, jobs=20)
    served = Counter(product.served(room=20))
    assert served.total() == 20
    assert abs(served[first] - served[second]) <= 2


def test_what_users_share_is_cost_not_jobs(product: Product) -> None:
    for _ in range(40):
        product.enter("large", cost_ms=4_000)
        product.enter("small", cost_ms=1_000)
    assert Counter(product.served(room=40)) == {"large": 8, "small": 32}


def test_a_user_served_at_one_model_has_had_its_turn_at_another(product: Product) -> None:
    both = ("shapes", "photos")
    product.enter("flood", jobs=20, model="photos")
    product.enter("guest", jobs=10)
    assert Counter(product.served(20, both)) == {"flood": 10, "guest": 10}


def test_no_tenant_gets_more_by_inventing_users(ledger: Ledger) -> None:
    honest, inventive = Product(ledger, "honest"), Product(ledger, "inventive")
    for number in range(40):
        honest.enter()
        inventive.enter(f"user {number}")
    tenants = Counter(lease.ref.tenant for lease in honest.claim(room=40))
    assert tenants == {"honest": 20, "inventive": 20}


def test_priority_orders_a_user_s_own_jobs(product: Product) -> None:
    order = [Priority.LOW, Priority.NORMAL, Priority.HIGH]
    refs = [ref for priority in order for ref in product.enter("ann", priority=priority)]
    product.enter("bob", jobs=3)
    leases = product.claim(room=6)
    assert [lease.ref for lease in leases if lease.ref in refs] == refs[::-1]
    assert [product.users[lease.ref] for lease in leases][:4].count("bob") == 2


def test_of_many_who_come_once_the_first_is_next(product: Product) -> None:
    names = [f"user {number}" for number in range(50)]
    for name in names:
        product.enter(name)
    assert product.served(room=50) == names


def test_who_comes_later_never_keeps_the_first_waiting(product: Product) -> None:
    """More users come than are served, each once; and one who came before them has two jobs."""
    product.enter("patient", jobs=2, cost_ms=1)
    arrivals = (f"user {number}" for number in range(10_000))
    served = list[str]()
    for _ in range(1_100):
        product.enter(next(arrivals), cost_ms=1)
        product.enter(next(arrivals), cost_ms=1)
        served += product.served()
    assert served.count("patient") == 2


def test_who_was_away_saved_up_nothing(product: Product) -> None:
    product.enter("guest")
    product.enter("host", jobs=60)
    product.claim(room=40)
    product.enter("guest", jobs=20)
    served = Counter(product.served(room=20))
    assert served.total() == 20
    assert abs(served["guest"] - served["host"]) <= 2


def test_one_job_at_a_time_gives_no_more_than_a_share(product: Product) -> None:
    """Its tag stays while it is idle."""
    product.enter("host", jobs=100)
    served = list[str]()
    for _ in range(40):
        product.enter("polite")
        served += product.served(room=2)
    assert served.count("polite") == len(served) / 2 == 40


def test_a_job_that_comes_back_keeps_its_place_and_its_user_s_turn(product: Product) -> None:
    [first, _] = product.enter("ann", jobs=2)
    product.enter("bob", jobs=2)
    [lease] = product.claim()
    assert lease.ref == first
    product.ledger.run(commands.release(lease))
    assert product.claim()[0].ref == first, "its user is not charged twice"
    assert product.served() == ["bob"]


def die(ledger: Ledger, leases: list[Lease]) -> None:
    ledger.run(commands.report_progress([(lease, 1, 9) for lease in leases]))
    for lease in leases:
        ledger.client.zadd(f"{ledger.root}:leases", {str(lease.ref): 0})
    ledger.run(commands.sweep(lease_s=60))


def test_what_a_dead_worker_ran_is_charged_once(product: Product) -> None:
    product.enter("ann", jobs=4)
    product.enter("bob", jobs=4)
    leases = product.claim(room=2)
    die(product.ledger, leases)
    audit(product.ledger)
    served = product.served(room=1) + product.served(room=1)  # suspects first, one a claim
    assert sorted(served) == ["ann", "bob"]
    assert Counter(product.served(room=6)) == {"ann": 3, "bob": 3}
    audit(product.ledger)


def test_an_exchange_is_paid_for_by_the_user_whose_job_is_urgent(product: Product) -> None:
    product.enter("bob", jobs=4)
    [low] = product.claim()
    [urgent] = product.enter("ann", priority=Priority.HIGH, start_within_ms=2_000)
    product.enter("ann", jobs=3)
    product.ledger.run(commands.exchange(low, urgent, worker="w", lease_s=60))
    audit(product.ledger)
    assert Counter(product.served(room=4)) == {"bob": 3, "ann": 1}


def test_cancel_and_expiry_take_a_user_out_of_turn(product: Product) -> None:
    [canceled] = product.enter("ann")
    [expired] = product.enter("bob")
    product.enter("eve")
    product.ledger.run(commands.cancel(canceled))
    product.ledger.client.zadd(f"{product.ledger.root}:deadlines", {str(expired): 0})
    product.ledger.run(commands.sweep(lease_s=60))
    audit(product.ledger)
    assert product.served(room=3) == ["eve"]
    assert product.keys() == set()


def test_the_first_user_costs_the_same_however_much_waits(product: Product) -> None:
    """The ledger does nothing else meanwhile, for all tenants."""
    product.enter(jobs=300)
    product.enter("first")
    client, queues = product.ledger.client, f"{product.ledger.root}:user_queue:*"
    assert [client.zcard(name) for name in client.keys(queues)] == [1], "nothing was moved"
    audit(product.ledger)
    assert product.served(room=2).count("first") == 1


def test_a_full_queue_counts_jobs_of_users_too(product: Product) -> None:
    news = [new_job(tenant="product", user=user) for user in ("ann", "", "bob")]
    for new in news[:2]:
        product.ledger.run(commands.create(new, max_queued=2))
    with pytest.raises(QueueFull):
        product.ledger.run(commands.create(news[2], max_queued=2))


@pytest.mark.parametrize("user", ["", "ann"])
def test_urgent_jobs_are_found_behind_the_jobs_of_others(product: Product, user: str) -> None:
    product.enter("flood", jobs=10)
    product.enter(jobs=10)
    held = product.claim()
    [urgent] = product.enter(user, priority=Priority.HIGH, start_within_ms=2_000)
    found = commands.find_urgent("w", ["shapes"], within_s=5, held=held)
    assert product.ledger.run(found) == {held[0].ref: urgent}


@pytest.mark.parametrize("is_sought", [False, True], ids=["claimed", "withdrawn"])
def test_a_job_whose_record_is_gone_leaves_nothing_behind(
    product: Product, *, is_sought: bool
) -> None:
    for user in ("ann", "bob", ""):
        [gone, _] = product.enter(user, jobs=2)
        product.ledger.client.delete(f"{product.ledger.root}:job:{gone}")
    if is_sought:
        product.ledger.run(commands.withdraw_model("w", "shapes", most=9))
    else:
        assert len(product.claim(room=9)) == 3
    assert product.keys() == set()


def test_a_lost_job_s_user_is_sought_among_all_only_if_it_is_not_known(product: Product) -> None:
    """The ledger does nothing else meanwhile, however many users wait."""
    client, root = product.ledger.client, product.ledger.root

    def removals() -> int:
        return int(client.info("commandstats")["cmdstat_zrem"]["calls"])

    claim = commands.claim("w", ["shapes"], room=1, lease_s=60, begins=True)
    [suspect] = product.enter("first", jobs=1)
    product.ledger.run(claim)
    for number in range(100):
        product.enter(f"user {number}", jobs=1)
    [broken] = product.enter("last", jobs=1)
    before = removals()
    client.zadd(f"{root}:leases", {str(suspect): 0})
    client.hset(f"{root}:job:{broken}", "state", "succeeded")
    client.zadd(f"{root}:deadlines", {str(broken): 0})
    assert product.ledger.run(commands.sweep(lease_s=60)).unreadable == (broken,)
    assert removals() - before < 50, "its user is known"
    before = removals()
    client.delete(f"{root}:job:{suspect}")
    again = commands.claim("w", ["shapes"], room=1, lease_s=60)
    assert len(product.ledger.run(again)) == 1
    assert removals() - before < 50, "it waits in no user's queue"


def test_a_tenant_whose_jobs_name_no_user_has_no_tags_of_users(product: Product) -> None:
    product.enter(jobs=9)
    product.claim(room=3)
    assert product.keys() == set()


def test_users_are_known_by_a_hash_and_nothing_stays_when_none_of_them_waits(
    product: Product,
) -> None:
    [ref] = product.enter("ann@example.com", jobs=1)
    assert product.ledger.client.hget(f"{product.ledger.root}:job:{ref}", "user")
    for name in product.ledger.client.keys(f"{product.ledger.root}:*"):
        assert "ann@" not in f"{name} {product.ledger.client.dump(name)!r}"
    product.enter("x" * 512, jobs=2)
    product.claim(room=2)
    assert product.keys()
    product.claim(room=1)
    assert product.keys() == set()


def test_tags_are_bounded_however_many_users_a_tenant_invents(product: Product) -> None:
    """Beyond the bound those who were served least count as served no more than new ones."""
    product.enter("host", jobs=2)
    product.claim()
    client, tags = product.ledger.client, f"{product.ledger.root}:user_tags:product"
    client.zadd(tags, {f"{number:032x}": 10**12 + number for number in range(1, MOST_TAGS)})
    product.enter("guest")
    assert product.served() == ["guest"]
    assert client.zcard(tags) == MOST_TAGS
    time = client.hget(f"{product.ledger.root}:user_time:product", "time")
    assert int(time) == 1_000_000, "the tag of the host, who was served once"


def test_a_position_is_among_a_user_s_own(product: Product) -> None:
    flood = product.enter("flood", jobs=9)
    [mine] = product.enter("guest")
    assert product.position(mine) == 0
    assert product.position(flood[-1]) == 8
    unnamed = product.enter(jobs=2)
    assert product.position(unnamed[1]) == 1


def wait_ms(product: Product, user: str = "", tenant: str = "product") -> int | None:
    job = new_job(tenant=tenant, user=user, cost_ms=1_000, seats=1)
    return product.ledger.run(commands.estimate(job, max_queued=1_000)).wait_ms


def test_an_estimate_knows_that_users_take_turns(product: Product) -> None:
    product.ledger.run(commands.heartbeat("w", ["shapes"], ttl_s=60))
    enter = partial(product.enter, cost_ms=1_000, seats=1)
    enter("flood", jobs=31)
    product.claim()  # half of it is still to do
    assert wait_ms(product, "guest") == 500
    assert wait_ms(product) == 500, "without a user it is one more"
    assert wait_ms(product, "flood") == 30_500
    [mine] = enter("guest")
    assert wait_ms(product, "guest") == 2_500, "its own, and as much of the other's"
    record = product.ledger.run(commands.get(mine))
    assert record
    assert record.start_ms is not None
    assert record.start_ms - record.created_ms == pytest.approx(500, abs=400)
    assert wait_ms(product, tenant="other") == 500, "other tenants have their own share"


def test_an_estimate_of_a_tenant_s_first_user_is_before_its_other_jobs(product: Product) -> None:
    product.ledger.run(commands.heartbeat("w", ["shapes"], ttl_s=60))
    product.enter(jobs=30, cost_ms=1_000, seats=1)
    product.claim()
    assert wait_ms(product, "first") == 500
    assert wait_ms(product) == 29_500
