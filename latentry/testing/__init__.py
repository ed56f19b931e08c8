"""A service for the tests of programs that use the SDK: no Redis, no worker, no waiting.

fake = FakeService()
fake.next_job(fails="out_of_memory")
with fake.client() as client, pytest.raises(JobDidNotSucceed):
    client.generate("a red circle")
"""

from latentry.testing.script import JobScript
from latentry.testing.service import FakeService
from latentry.testing.state import FakeCall

__all__ = ["FakeCall", "FakeService", "JobScript"]
