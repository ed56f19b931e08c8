"""What can go wrong on the client's side of the wire.

LatentryError
├── ApiError            the service said no, and why
├── Unreachable         nobody answered, after every retry
├── StillRunning        the caller's patience ended before the job did
└── JobDidNotSucceed    the job ended without its pictures
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
        """The error in a response whose body was read, problem document or not."""
        try:
            return cls(Problem.model_validate_json(response.content))
        except ValidationError:
            # Not from the gateway: a proxy on the way, or another service altogether.
            title = response.reason_phrase or "Unexpected answer"
            return cls(
                Problem(
                    type="about:blank",
                    title=title,
                    status=response.status_code,
                    detail=f"{response.request.url} answered {response.status_code} {title}.",
                    code=f"http_{response.status_code}",
                )
            )


class Unreachable(LatentryError):
    """The service does not answer."""

    code = "unreachable"
    retryable = True


class StillRunning(LatentryError):
    """The job has not ended in the time given; it goes on all the same."""

    code = "still_running"
    retryable = True

    def __init__(self, job: Job) -> None:
        super().__init__(f"Job {job.id} is still {job.status} after the time given.")
        self.job = job


class JobDidNotSucceed(LatentryError):
    """The job ended, but not with its pictures."""

    code = "job_did_not_succeed"

    def __init__(self, job: Job) -> None:
        why = f": {job.error.message} ({job.error.code})" if job.error else "."
        super().__init__(f"Job {job.id} ended as {job.status}{why}")
        self.job = job
