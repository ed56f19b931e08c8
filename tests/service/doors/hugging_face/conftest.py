"""Jobs that inferences are."""

from tests.service.doors.openai.conftest import jobs, made

__all__ = ["jobs", "made"]
