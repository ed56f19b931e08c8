"""Rules on pictures, applied to one on its way to storage."""

from dataclasses import dataclass, replace

from latentry.contracts import JobStatus, JobWarning
from latentry.contracts.fields.safety import ImageAction
from latentry.errors import PictureRefused
from latentry.rules.moderation.image_rules import Verdict
from worker.claims.claimed_job import ClaimedJob, Outcome
from worker.claims.inbox import Inbox, StopAsked
from worker.metrics import Metrics
from worker.publishing.picture import Picture
from worker.safety.judge import Judge
from worker.safety.resizing import blurred


@dataclass(frozen=True, slots=True)
class Judging:
    """Has pictures judged, and tells their jobs."""

    judge: Judge
    metrics: Metrics
    inbox: Inbox

    def judged(self, picture: Picture) -> Picture:
        """The finished picture as its job's rules leave it, with their verdict. Raises EngineError.

        What was drawn is judged by itself too: laid back into a large picture it may be too small
        to be seen. A step on the way is not judged: none is stored where a rule may withhold a
        picture. Nor is what a ControlNet sees, which is the caller's own.
        """
        drawn, picture = picture, picture.finished()
        job, rules = picture.job, picture.job.lease.record.image_rules
        if not rules or picture.kind is not None or picture.control:
            return picture
        with self.metrics.stage("judge"):
            is_laid_back = picture.pixels is not drawn.pixels
            shown = (picture.pixels, drawn.pixels) if is_laid_back else (picture.pixels,)
            verdict = self.judge.verdict(shown, rules)
        self.metrics.judged(job.lease.ref.tenant, verdict)
        if verdict.action is ImageAction.BLUR:
            return replace(picture, pixels=blurred(picture.pixels), profile=None, verdict=verdict)
        if verdict.action is ImageAction.BLOCK:
            self._withhold(job, picture.index, verdict)
        return replace(picture, verdict=verdict)

    def _withhold(self, job: ClaimedJob, index: int, verdict: Verdict) -> None:
        """A sequence with a hole is none and fails as a whole; other jobs go on without it."""
        if job.lease.record.request.is_sequence:
            job.end_early(Outcome(JobStatus.FAILED, PictureRefused(verdict.reason)))
            self.inbox.post(StopAsked(job.lease.ref))  # nothing more of it is drawn
            return
        why = f"Image {index}: {verdict.reason}"
        job.warn([JobWarning(code=PictureRefused.code, message=why)])
