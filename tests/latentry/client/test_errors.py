"""What errors say: what to do, and neither passwords nor signatures."""

import httpx
import pytest

from latentry import ApiError, Client, InvalidRequest, LatentryError, Retries
from latentry.client.http.address import Address
from latentry.testing import FakeService


def client_of(answer, url="http://user:secret@latentry.test"):
    return Client(url, transport=httpx.MockTransport(answer), retries=Retries(attempts=1))


def lost(request):
    raise httpx.ConnectError("connection refused", request=request)


@pytest.mark.parametrize("answer", [lost, lambda _: httpx.Response(502, text="<p>no</p>")])
def test_no_message_has_a_password_or_the_signature_of_a_url(answer):
    with client_of(answer) as client:
        for call in (
            client.models,
            lambda: client.download("https://u:secret@s3.test/a?sig=secret"),
        ):
            with pytest.raises(LatentryError) as caught:
                call()
            assert ".test/" in str(caught.value)
            assert "secret" not in str(caught.value)


def test_what_is_not_the_service_s_answer_says_so():
    page = httpx.Response(200, text="<p>hello</p>")
    with (
        client_of(lambda _: page) as client,
        pytest.raises(ApiError, match=r"is the base URL right\?"),
    ):
        client.models()
    moved = httpx.Response(308, headers={"Location": "https://latentry.test/v1/models"})
    with client_of(lambda _: moved) as client, pytest.raises(ApiError, match="to https://latentry"):
        client.models()


def test_an_address_does_not_show_its_key():
    assert "ltk_secret" not in repr(Address("http://latentry.test", "ltk_secret", 1.0))


@pytest.mark.parametrize("key", ["", "two\nlines", "\u043a\u043b\u044e\u0447", "x" * 256])
def test_an_idempotency_key_that_no_header_can_have_is_refused_before_it_is_sent(key):
    fake = FakeService()
    with fake.client() as client:
        for call in (client.submit, client.generate):
            with pytest.raises(InvalidRequest) as caught:
                call("a frog", idempotency_key=key)
            assert caught.value.code == "invalid_idempotency_key"
    assert not fake.calls


@pytest.mark.parametrize("id", ["", ".", "..", "gen_\udcff"])
def test_an_id_that_no_path_can_have_is_refused_before_it_is_sent(id):
    fake = FakeService()
    with fake.client() as client:
        for call in (client.get, client.delete, client.cancel, client.delete_file):
            with pytest.raises(InvalidRequest, match="is not an id"):
                call(id)
    assert not fake.calls
