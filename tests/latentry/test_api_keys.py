"""Keys as text: what is one, what is not, and that a secret does not show by accident."""

import re

import pytest

from latentry.api_keys import TENANT, ApiKey


def test_a_key_is_read_back_as_it_was_written() -> None:
    for _ in range(200):
        key = ApiKey.new()
        assert ApiKey.parse(key.text) == key
        assert re.fullmatch(r"ltk_\w{12}_\w{43}_\w{6}", key.text)


def test_no_two_keys_share_id_or_secret() -> None:
    keys = [ApiKey.new() for _ in range(200)]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 200


def test_any_single_wrong_character_is_refused_without_the_ledger() -> None:
    text = ApiKey.new().text
    for at, character in enumerate(text):
        wrong = "x" if character != "x" else "y"
        assert ApiKey.parse(text[:at] + wrong + text[at + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "ltk_", "any", "sk-1234", "ltk_a_b_c", "\x00", "ltk_" + "é" * 12, "a" * 10_000]
)
def test_invalid_keys_are_refused(text: str) -> None:
    assert ApiKey.parse(text) is None
    assert ApiKey.parse(ApiKey.new().text + text) is None or not text


def test_a_rotated_key_keeps_its_id() -> None:
    old = ApiKey.new()
    fresh = ApiKey.new(old.id)
    assert (fresh.id == old.id, fresh.secret == old.secret) == (True, False)


def test_the_secret_is_in_no_repr_and_not_in_the_digest() -> None:
    key = ApiKey.new()
    assert key.secret not in repr(key)
    assert re.fullmatch("[0-9a-f]{64}", key.digest)


@pytest.mark.parametrize("name", ["a", "0", "acme", "acme-2", "a" * 32])
def test_a_tenants_name_fits_in_every_key(name: str) -> None:
    assert TENANT.fullmatch(name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a:b", "a/b", "a.b", "a b", "a" * 33, "ä", "a\n"])
def test_other_names_do_not(name: str) -> None:
    assert not TENANT.fullmatch(name)
