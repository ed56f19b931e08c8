"""A ledger behind TLS, with a certificate of an authority that only the operator knows."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import Celery
from kombu import pools
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from latentry.broker import broker_config
from latentry.errors import LatentryError
from latentry.ledger import AsyncLedger, Ledger, commands
from latentry.settings import Settings
from tests.tls import Authority, TlsFront, tls_front
from tests.valkey import Valkey

PASSWORD = "p@ss/w:ö#d;%+?"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def user(valkey: Valkey) -> str:
    """A user of the server, whose password must not be given to anybody else."""
    valkey.client.acl_setuser("tls", enabled=True, passwords=["+" + PASSWORD], keys="*",
        channels="*", categories=["+@all"])  # fmt: skip
    return f"tls:{quote(PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def front(valkey: Valkey, authority: Authority) -> Iterator[TlsFront]:
    with tls_front(valkey.port, authority.sign("IP:127.0.0.1")) as made:
        yield made


@pytest.fixture
def behind_tls(settings: Settings, front: TlsFront, user: str) -> Settings:
    front.received = 0
    url = SecretStr(f"rediss://{user}@127.0.0.1:{front.port}/0")
    return settings.model_copy(update={"redis_url": url})


def use_ledger(settings: Settings) -> None:
    with closing(Ledger.open(settings)) as ledger:
        ledger.run(commands.check_writable())


def use_broker(settings: Settings) -> None:
    app = Celery("test", set_as_current=False)
    app.conf.update(broker_config(settings))
    try:
        policy = {"max_retries": 0}
        app.send_task("denoise", queue="test", expires=1, retry=True, retry_policy=policy)
    finally:
        app.close()
        pools.reset()  # kombu's own, which tells connections apart by URL, not by TLS options


BOTH = pytest.mark.parametrize("use", [use_ledger, use_broker])


@BOTH
def test_who_is_given_the_authority_gets_through(use, behind_tls, authority) -> None:
    use(behind_tls.model_copy(update={"redis_tls_ca_file": str(authority.file)}))


async def test_the_gateways_ledger_gets_through_too(behind_tls, authority) -> None:
    ledger = AsyncLedger.open(
        behind_tls.model_copy(update={"redis_tls_ca_file": str(authority.file)})
    )
    await ledger.run(commands.check_writable())
    await ledger.close()


@BOTH
def test_a_certificate_that_nobody_vouches_for_gets_no_password(use, behind_tls, front) -> None:
    with pytest.raises((LatentryError, OperationalError)):
        use(behind_tls)
    assert front.received == 0


@BOTH
def test_a_certificate_of_another_host_gets_no_password(use, behind_tls, authority, front) -> None:
    url = behind_tls.redis_url.get_secret_value().replace("127.0.0.1", "localhost")
    changes = {"redis_url": SecretStr(url), "redis_tls_ca_file": str(authority.file)}
    with pytest.raises((LatentryError, OperationalError)):
        use(behind_tls.model_copy(update=changes))
    assert front.received == 0


@BOTH
def test_one_setting_turns_verification_off(use, behind_tls, front) -> None:
    use(behind_tls.model_copy(update={"redis_tls_verify": "off"}))
    assert front.received > 0


@BOTH
def test_a_server_that_asks_for_a_certificate_gets_one(
    use, behind_tls, authority, valkey: Valkey, user: str, tmp_path: Path
) -> None:
    ours = Authority(tmp_path)
    cert, key = ours.sign("DNS:gateway")
    with tls_front(valkey.port, authority.sign("IP:127.0.0.1"), clients=ours.file) as strict:
        url = SecretStr(f"rediss://{user}@127.0.0.1:{strict.port}/0")
        changes = {"redis_url": url, "redis_tls_ca_file": str(authority.file)}
        with pytest.raises((LatentryError, OperationalError)):
            use(behind_tls.model_copy(update=changes))
        changes |= {"redis_tls_cert_file": str(cert), "redis_tls_key_file": str(key)}
        use(behind_tls.model_copy(update=changes))


def test_nobody_warns_that_tls_is_insecure(behind_tls, authority, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        use_broker(behind_tls.model_copy(update={"redis_tls_ca_file": str(authority.file)}))
    assert caplog.records == []
