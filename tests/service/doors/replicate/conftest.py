"""Jobs that predictions are."""

from tests.service.doors.openai.conftest import jobs, made

__all__ = ["jobs", "made"]
