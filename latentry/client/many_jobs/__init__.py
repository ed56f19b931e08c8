"""Many jobs with one call: what is asked, what runs at once, and both clients' methods."""

from latentry.client.many_jobs.clients import AsyncManyJobs, ManyJobs

__all__ = ["AsyncManyJobs", "ManyJobs"]
