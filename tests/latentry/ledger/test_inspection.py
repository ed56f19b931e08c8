"""A Redis that answers but cannot serve us: a sentence instead of a traceback."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from latentry.errors import ConfigurationError, LedgerMisconfigured, LedgerUnavailable
from latentry.ledger import AsyncLedger, Command, Feed, Ledger, commands
from latentry.ledger.server import inspection
from latentry.settings import Settings
from tests.latentry.ledger.factory import new_job
from tests.tls import Authority, tls_front
from tests.valkey import Valkey, free_port

ALL = ("~*", "&*", "+@all")
# What deploy/README.md says, for the prefix `latentry`.
DOCUMENTED = ("~{latentry}*", "&{latentry}*", "+@all", "-@admin", "-@dangerous", "+info")
PERMISSIONS = "denies its user a command, a key or a channel"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One whose users and configuration are changed."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as made:
        yield made


@pytest.fixture
def admin(server: Valkey) -> Iterator[redis.Redis]:
    with server.client as client:
        yield client
        client.config_set("requirepass", "")
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


def at(server: Valkey, user: str = "", database: int = 0, **changes: object) -> Settings:
    url = f"redis://{user}{'@' if user else ''}127.0.0.1:{server.port}/{database}"
    return Settings.model_validate({"redis_url": url, **changes})


def allow(admin: redis.Redis, *rules: str) -> str:
    admin.execute_command("ACL", "SETUSER", "restricted", "reset", "on", ">pw", *rules)
    return "restricted:pw"


def test_a_server_that_suits_is_accepted(server: Valkey) -> None:
    inspection.inspect(at(server))


def test_the_permissions_that_are_documented_suffice(server: Valkey, admin: redis.Redis) -> None:
    inspection.inspect(at(server, allow(admin, *DOCUMENTED)))
    readme = Path("deploy/README.md").read_text()
    assert " ".join(DOCUMENTED) in readme


def test_one_that_does_not_answer_may_come_later(tmp_path: Path) -> None:
    inspection.inspect(at(Valkey(tmp_path)))


@pytest.mark.parametrize(
    "rules",
    [
        (*ALL, "-@scripting"),
        ("&*", "+@all"),
        ("~another*", "&*", "+@all"),
        ("~*", "resetchannels", "+@all"),
        (*ALL, "-subscribe"),
        (*ALL, "-set"),
        (*ALL, "-brpop"),
        (*ALL, "-sadd"),
    ],
    ids=[
        *("no scripts", "no keys", "other keys", "no channels", "no subscribing", "no SET"),
        *("no BRPOP for Celery", "no SADD for Celery"),
    ],
)
def test_a_user_who_lacks_a_permission_is_refused_with_a_sentence(
    server: Valkey, admin: redis.Redis, rules: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError, match=PERMISSIONS):
        inspection.inspect(at(server, allow(admin, *rules)))


def test_a_permission_that_a_script_lacks_is_a_sentence_too(
    server: Valkey, admin: redis.Redis
) -> None:
    settings = at(server, allow(admin, *ALL, "-xadd"))
    with (
        closing(Ledger.open(settings)) as ledger,
        pytest.raises(LedgerMisconfigured, match=PERMISSIONS),
    ):
        ledger.run(commands.create(new_job(), max_queued=9))


async def test_a_gateway_that_may_not_listen_is_told_so(server: Valkey, admin: redis.Redis) -> None:
    async_ledger = AsyncLedger.open(at(server, allow(admin, "~*", "+@all")))
    with pytest.raises(LedgerMisconfigured, match=PERMISSIONS):
        await anext(Feed(async_ledger).listen())
    await async_ledger.close()


@pytest.mark.parametrize("user", [":wrong", "nobody:wrong", ""], ids=["password", "user", "none"])
def test_wrong_or_missing_credentials_are_refused_without_showing_them(
    server: Valkey, admin: redis.Redis, user: str
) -> None:
    admin.config_set("requirepass", "sesame")
    with pytest.raises(ConfigurationError, match=r"the password in LATENTRY_REDIS_URL") as refused:
        inspection.inspect(at(server, user))
    assert "wrong" not in refused.value.message.replace("WRONGPASS", "")


def test_a_database_that_is_not_there_is_named(server: Valkey) -> None:
    with pytest.raises(ConfigurationError, match="no database of the number"):
        inspection.inspect(at(server, database=99))


def test_a_server_that_evicts_is_refused(server: Valkey, admin: redis.Redis) -> None:
    admin.config_set("maxmemory-policy", "allkeys-lru")
    inspection.inspect(at(server))  # without a limit it evicts nothing
    admin.config_set("maxmemory", "1gb")
    with pytest.raises(ConfigurationError, match=r"noeviction; it is allkeys-lru\."):
        inspection.inspect(at(server))
    inspection.inspect(at(server, allow(admin, *ALL, "-info")))  # it does not tell


def test_a_replica_is_said_to_be_one_and_may_become_the_primary(
    server: Valkey, tmp_path: Path
) -> None:
    with Valkey(tmp_path) as replica, replica.client as its:
        its.replicaof("127.0.0.1", server.port)
        inspection.inspect(at(replica))
        with closing(Ledger.open(at(replica))) as ledger:
            with pytest.raises(LedgerUnavailable, match="read-only replica") as refused:
                ledger.run(commands.check_writable())
            assert not isinstance(refused.value, LedgerMisconfigured)
            its.replicaof("NO", "ONE")
            ledger.run(commands.check_writable())


def test_a_cluster_of_one_shard_suits_and_one_of_several_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    cluster, bus = ("--cluster-enabled", "yes", "--cluster-port"), free_port()
    with (
        Valkey(tmp_path, *cluster, str(bus)) as first,
        Valkey(tmp_path / "other", *cluster, str(free_port())) as second,
        first.client as one,
        second.client as two,
    ):
        one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while "cluster_state:ok" not in str(one.execute_command("CLUSTER", "INFO")):
            pass
        inspection.inspect(at(first))
        with pytest.raises(ConfigurationError, match="database"):
            inspection.inspect(at(first, database=1))
        two.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, bus)
        other = two.execute_command("CLUSTER", "MYID").decode()
        while other not in str(one.execute_command("CLUSTER", "NODES")):
            pass
        one.flushall()
        ours = one.execute_command("CLUSTER", "KEYSLOT", "{latentry}")
        one.execute_command("CLUSTER", "SETSLOT", ours, "NODE", other)
        with pytest.raises(ConfigurationError, match="cluster of several shards"):
            inspection.inspect(at(first))


def test_an_old_server_is_told_from_a_bug_of_ours(ledger: Ledger) -> None:
    class Old(Ledger):
        def _evaluate(self, command: Command[object]) -> object:
            # As Redis 6.2 reads our first line.
            return self._execute("EVAL", "#lua flags=\nreturn 1", 0)

    with pytest.raises(LedgerMisconfigured, match=r"7\.0 or later"):
        Old(ledger.client, ledger.root).run(commands.check_writable())


@pytest.mark.parametrize("has_file", [True, False])
def test_a_certificate_that_nobody_vouches_for_is_said_to_be_one(
    server: Valkey, tmp_path: Path, has_file: bool
) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    with tls_front(server.port, authority.sign("IP:127.0.0.1")) as front:
        url = f"rediss://127.0.0.1:{front.port}"
        changes = {"redis_tls_ca_file": str(Authority(tmp_path / "other").file)} if has_file else {}
        settings = Settings.model_validate({"redis_url": url, **changes})
        with pytest.raises(ConfigurationError, match="LATENTRY_REDIS_TLS_CA_FILE"):
            inspection.inspect(settings)


@pytest.mark.parametrize("name", ["redis_tls_ca_file", "redis_tls_cert_file"])
def test_a_file_that_is_missing_or_no_certificate_is_named(name: str, tmp_path: Path) -> None:
    for file in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").touch()
        settings = Settings.model_validate({"redis_url": "rediss://127.0.0.1", name: str(file)})
        with pytest.raises(ConfigurationError, match=f"LATENTRY_{name.upper()}.* cannot be read"):
            inspection.inspect(settings)
