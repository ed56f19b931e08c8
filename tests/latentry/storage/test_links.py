"""Keys and signatures, over whatever Hypothesis can think of."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentry.contracts import OutputFormat
from latentry.errors import LinkRefused
from latentry.storage import content_type_of, key_of, sign, verify
from latentry.storage.object_keys import is_key

words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
keys = st.builds(
    key_of,
    words,
    words,
    fence=st.integers(0, 2**53),
    index=st.integers(0, 7),
    suffix=st.sampled_from([form.suffix for form in OutputFormat]),
    name=st.just("") | words,
)
secrets = st.binary(min_size=1, max_size=64)
times = st.integers(0, 2**40)


@given(secrets, keys, times, times)
def test_a_link_passes_until_its_time(secret: bytes, key: str, exp: int, now: int) -> None:
    sig = sign(secret, key, exp)
    if now < exp:
        verify(secret, key, exp, sig, now)
    else:
        with pytest.raises(LinkRefused):
            verify(secret, key, exp, sig, now)


@given(secrets, keys, times, secrets, keys, times)
def test_a_signature_fits_one_key_one_time_and_one_secret(
    secret: bytes, key: str, exp: int, secret2: bytes, key2: str, exp2: int
) -> None:
    # HMAC pads its key with zeros, so secrets that differ only by those are the same.
    same = (secret.rstrip(b"\0"), key, exp) == (secret2.rstrip(b"\0"), key2, exp2)
    assert (sign(secret, key, exp) == sign(secret2, key2, exp2)) == same


@given(secrets, keys, times, st.text())
def test_an_invented_signature_is_refused(secret: bytes, key: str, exp: int, sig: str) -> None:
    with pytest.raises(LinkRefused):
        verify(secret, key, exp, sig, now=-1)


@given(st.one_of(st.text(), st.from_regex(r"[a./%\\-]{1,20}/[a.]{1,3}/1-0\.png", fullmatch=True)))
def test_no_key_climbs_or_hides(text: str) -> None:
    if is_key(text):
        path = PurePosixPath(text)
        assert ".." not in path.parts
        assert len(path.parts) == 3
        assert str(path) == text
        assert text.isascii()


@given(keys)
def test_a_key_has_a_content_type(key: str) -> None:
    assert is_key(key)
    assert not is_key(key + "\n")
    assert content_type_of(key).startswith("image/")


@given(st.lists(st.tuples(st.integers(0, 99), st.just("") | words), unique=True, max_size=9))
def test_outputs_of_a_job_never_share_a_key(outputs: list[tuple[int, str]]) -> None:
    made = {
        key_of("t", "job", fence=1, index=index, name=name, suffix=".png")
        for index, name in outputs
    }
    assert len(made) == len(outputs)


@pytest.mark.parametrize("name", ["../x", "a.b", "a/b", "-", "é", "a" * 65])
def test_a_name_that_could_leave_the_folder_makes_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        key_of("t", "job", fence=1, index=0, name=name, suffix=".png")


@given(st.text(), st.text())
def test_words_of_a_client_make_no_key(tenant: str, job: str) -> None:
    try:
        key = key_of(tenant, job, fence=1, index=0, suffix=".png")
    except ValueError:
        return
    assert key == f"{tenant}/{job}/1-0.png"
    assert is_key(key)
