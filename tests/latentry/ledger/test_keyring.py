"""The commands about keys: harmless when repeated, exact about time, never deleting."""

import pytest

from latentry.api_keys import ALL_SCOPES, ApiKey, Scope
from latentry.ledger import Ledger, keyring
from latentry.ledger.keyring import Allowance

ALLOWANCE = Allowance(per_minute=60, burst=3, jobs=4, step_megapixels=5, weight=6)


def enter(ledger: Ledger, key: ApiKey, **what: object) -> bool:
    return ledger.run(keyring.enter(key, "acme", **what))


def test_a_key_is_remembered_with_all_that_was_said_of_it(ledger: Ledger) -> None:
    key = ApiKey.new()
    enter(ledger, key, name="ci", scopes=frozenset({Scope.READ}), allowance=ALLOWANCE, ttl_ms=9_000)
    at_ms, [record] = ledger.run(keyring.list_keys())
    assert (record.id, record.tenant, record.name) == (key.id, "acme", "ci")
    assert (record.scopes, record.allowance) == (frozenset({Scope.READ}), ALLOWANCE)
    assert record.expires_ms == record.created_ms + 9_000
    assert [record.state(at) for at in (at_ms, record.expires_ms)] == ["active", "expired"]


def test_entering_a_key_again_changes_nothing_and_another_secret_is_not_let_in(
    ledger: Ledger,
) -> None:
    key = ApiKey.new()
    assert enter(ledger, key, name="first")
    assert enter(ledger, key, name="second")
    assert not enter(ledger, ApiKey.new(key.id))
    [record] = ledger.run(keyring.list_keys())[1]
    assert (record.name, record.scopes) == ("first", ALL_SCOPES)


def test_a_bucket_lets_its_burst_through_and_then_one_by_one(ledger: Ledger) -> None:
    key = ApiKey.new()
    enter(ledger, key, allowance=Allowance(per_minute=600, burst=3))

    def ask() -> keyring.Authorization:
        return ledger.run(keyring.authorize(key))

    assert [ask().left for _ in range(3)] == [2, 1, 0]
    refused = ask()
    assert refused.too_many
    assert 50 < refused.wait_ms <= 100
    assert refused.full_ms <= 300
    # A refused request costs nothing: the next one is due when the first was said to be.
    assert ask().wait_ms <= refused.wait_ms
    bucket = f"{ledger.root}:rate:{key.id}"
    assert 0 < ledger.client.pttl(bucket) <= 300
    ledger.client.delete(bucket)  # as it is by itself when it is full again
    assert ask().left == 2


def test_requests_that_are_taken_together_are_taken_once_though_the_call_is_repeated(
    ledger: Ledger,
) -> None:
    key = ApiKey.new()
    enter(ledger, key, allowance=Allowance(per_minute=600, burst=10))
    take = keyring.take_more(key.id, 4)
    first = ledger.run(take)
    assert (first.count, first.left) == (4, 6)
    assert ledger.run(take) == first, "its reply was lost"
    assert ledger.run(keyring.take_more(key.id, 9)).count == 6


def test_of_requests_that_are_taken_together_none_is_if_they_are_fewer_than_the_least(
    ledger: Ledger,
) -> None:
    key = ApiKey.new()
    enter(ledger, key, allowance=Allowance(per_minute=60, burst=10))
    assert ledger.run(keyring.take_more(key.id, 6)).count == 6
    taken = ledger.run(keyring.take_more(key.id, 7, least=7))
    assert (taken.count, taken.left) == (0, 4)
    assert 2_000 < taken.wait_ms <= 3_000, "until there are seven"
    assert ledger.run(keyring.take_more(key.id, 4, least=4)).count == 4


def test_the_clock_of_buckets_is_the_ledgers_and_may_be_set_back(ledger: Ledger) -> None:
    key = ApiKey.new()
    enter(ledger, key, allowance=Allowance(per_minute=60, burst=1))
    ledger.run(keyring.authorize(key))
    bucket, later = f"{ledger.root}:rate:{key.id}", ledger.client.time()[0] * 1000 + 3_600_000
    # Redis' own times to live end by that clock too, so nothing goes by itself before then.
    ledger.client.set(bucket, later, pxat=later)
    assert ledger.run(keyring.authorize(key)).left == 0
    refused = ledger.run(keyring.authorize(key))
    assert refused.too_many
    assert refused.wait_ms <= 1_000
    assert ledger.client.pttl(bucket) <= 1_000


@pytest.mark.parametrize("other", [None, ApiKey.new()])
def test_without_a_key_the_ledger_says_only_whether_there_are_any(ledger: Ledger, other) -> None:
    assert ledger.run(keyring.authorize(other)) == keyring.Authorization(any_keys=False)
    enter(ledger, ApiKey.new())
    assert ledger.run(keyring.authorize(other)) == keyring.Authorization(any_keys=True)


def test_a_revoked_key_stays_listed_and_revoked_from_the_first_time_on(ledger: Ledger) -> None:
    key = ApiKey.new()
    assert not ledger.run(keyring.revoke(key.id))
    enter(ledger, key)
    assert ledger.run(keyring.revoke(key.id))
    [first] = ledger.run(keyring.list_keys())[1]
    assert ledger.run(keyring.revoke(key.id))
    at_ms, [again] = ledger.run(keyring.list_keys())
    assert (again.revoked_ms, again.state(at_ms)) == (first.revoked_ms, "revoked")
    assert ledger.run(keyring.authorize(key)) == keyring.Authorization(any_keys=True)
    enter(ledger, key)  # as a bootstrap key at the next start
    assert ledger.run(keyring.authorize(key)).key is None
