"""`python -m service` in this process, for settings that it refuses: no interpreter is started."""

from collections.abc import Mapping

import pytest
import structlog

import service.__main__ as gateway
from latentry.settings import Settings


def refusal(
    settings: Settings, capsys: pytest.CaptureFixture[str], changes: Mapping[str, str]
) -> str:
    """What it says as it ends with exit status 2."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (settings.to_env() | {"LATENTRY_PUBLIC_URL": ""} | changes).items():
            patch.setenv(name, value)
        patch.setattr(gateway, "configure_logs", lambda _: None)
        with structlog.testing.capture_logs():
            assert gateway.main() == gateway.EXIT_UNUSABLE
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.strip()
