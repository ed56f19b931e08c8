"""The errors that the SDK raises.

LatentryError
├── ApiError            the service refused the call
├── Unreachable         the service did not respond, after all retries
├── StillRunning        the timeout passed before the job ended
└── JobDidNotSucceed    the job ended without images
"""

import httpx
from pydantic import ValidationError

from latentry.contracts import Job, Problem
from latentry.errors import LatentryError


class ApiError(LatentryError):
    """The service refused the call."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.code = problem.code
        self.status = problem.status
        self.errors = problem.errors

    @classmethod
    def of(cls, response: httpx.Response) -> "ApiError":
        """The error in a response whose body has been read, problem document or not."""
        try:
            return cls(Problem.model_validate_json(response.content))
        except ValidationError:
            # Not from the gateway, but from a proxy or another service.
            title = response.reason_phrase or "Unexpected response"
            return cls(
                Problem(
                    type="about:blank",
                    title=title,
                    status=response.status_code,
                    detail=f"{response.request.url} returned {response.status_code} {title}.",
                    code=f"http_{response.status_code}",
                )
            )


class Unreachable(LatentryError):
    """The service does not respond."""

    code = "unreachable"
    retryable = True


class StillRunning(LatentryError):
    """The job has not ended within the timeout; it continues."""

    code = "still_running"
    retryable = True

    def __init__(self, job: Job) -> None:
        super().__init__(f"Job {job.id} is still {job.status} after the timeout.")
        self.job = job


class JobDidNotSucceed(LatentryError):
    """The job ended without images."""

    code = "job_did_not_succeed"

    def __init__(self, job: Job) -> None:
        why = f": {job.error.message} ({job.error.code})" if job.error else "."
        super().__init__(f"Job {job.id} ended as {job.status}{why}")
        self.job = job
