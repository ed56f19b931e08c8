"""Logs that machines read, without a secret in them."""

import json
import logging

import pytest
import structlog

from latentry.api_keys import ApiKey
from latentry.logs import configure_logs, redact_credentials
from latentry.settings import Settings


@pytest.fixture
def _logging_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("_logging_as_it_was")
def test_no_password_of_a_url_reaches_a_log(capfd, form: str) -> None:
    configure_logs(Settings(log_format=form))
    structlog.get_logger().info("job.accepted", broker="redis://user:hunter2@host:1/0")
    logging.getLogger("celery").warning("Cannot connect to %s", "rediss://:hunter2@host")
    try:
        raise ConnectionError("redis://:hunter2@host refused")
    except ConnectionError:
        logging.getLogger("any").exception("failed")
    said = capfd.readouterr().err
    assert "hunter2" not in said
    assert said.count("***@host") >= 3


@pytest.mark.usefixtures("_logging_as_it_was")
def test_no_secret_of_an_api_key_reaches_a_log(capfd) -> None:
    configure_logs(Settings())
    key = ApiKey.new()
    logging.getLogger("any").warning("Header Authorization: Bearer %s is odd", key.text)
    said = capfd.readouterr().err
    assert f"ltk_{key.id}_***" in said
    assert key.secret not in said


@pytest.mark.usefixtures("_logging_as_it_was")
def test_a_line_of_json_has_its_event_level_and_time(capfd) -> None:
    configure_logs(Settings(log_format="json", log_level="warning"))
    structlog.get_logger().info("job.accepted")
    structlog.get_logger().warning("bell.failed", model="shapes")
    [line] = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["model"]) == ("bell.failed", "warning", "shapes")
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("redis://a:b@c/0", "redis://***@c/0"),
        ("redis://:p@ss@c and https://x/y@z", "redis://***@c and https://x/y@z"),
        ("no url, a@b", "no url, a@b"),
    ],
)
def test_only_the_credentials_are_redacted(text: str, left: str) -> None:
    assert redact_credentials(None, "", {"event": text}) == {"event": left}


class Full:
    """A log on a disk that is full."""

    def isatty(self) -> bool:
        return False

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("_logging_as_it_was")
def test_a_line_that_cannot_be_written_fails_no_request(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", Full())
    configure_logs(Settings())
    structlog.get_logger().info("job.accepted")


@pytest.mark.usefixtures("_logging_as_it_was")
def test_a_line_names_the_module_that_logs(capfd) -> None:
    configure_logs(Settings(log_format="json"))
    structlog.get_logger().info("job.accepted")
    assert json.loads(capfd.readouterr().err)["logger"] == __name__
