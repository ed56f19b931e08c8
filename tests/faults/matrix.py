"""The fault matrix: what goes wrong, and what must happen then."""

from typing import Final

MATRIX: Final = {
    "T1": ("worker `kill -9` at any point of a job's life", "the job is done once, elsewhere"),
    "T2": ("worker `kill -9` with the bell in its hand", "the sweeper rings again"),
    "T3": ("worker frozen past its lease, then thawed", "nothing it says counts"),
    "T4": ("Valkey `kill -9` and restart", "`503` or a short wait; no acknowledged job is lost"),
    "T5": ("connections to Valkey silently dropped", "`503` within 4 s; workers go on ≤ 30 s"),
    "T6": ("Valkey slow or paused", "bounded answers, nothing piles up"),
    "T7": ("Valkey full", "new jobs `503`; what runs ends"),
    "T8": ("the tail of the append-only file lost", "it starts; the same key submits again safely"),
    "T9": ("failover to a replica", "what the replica had goes on"),
    "T10": (
        "object store answers 500, slowly, or not",
        "no success before the picture is readable",
    ),
    "T11": ("disk full", "`storage_unavailable`; no half file is seen"),
    "T12": ("the same POST fifty times at once", "one job; another body is refused"),
    "T13": ("the bell a thousand times", "no effect"),
    "T14": ("forged Celery messages", "dropped; the worker lives"),
    "T15": ("a worker's clock off by hours", "no effect; one clock tells all times"),
    "T16": ("out of memory", "the batch splits; only who does not fit alone fails"),
    "T17": ("a job that kills its process", "`poison` after three, the last alone"),
    "T18": ("a device error that stays", "the process ends with 70, its jobs run again"),
    "T19": ("a step that hangs, also in C", "freed ≤ 30 s"),
    "T20": ("a picture of no numbers", "the job fails, never a success"),
    "T21": ("SIGTERM amid a long job", "handed over, at most a step redone"),
    "T22": ("SIGTERM, then SIGKILL", "goes on from the last checkpoint"),
    "T23": ("cancel before, during and after", "one winner, an end is an end"),
    "T24": ("a deadline passes in line", "`expired` without GPU work"),
    "T25": ("a client hangs up while it waits", "the job goes on"),
    "T26": ("a tenant enqueues 10,000", "another's first job waits for a batch at most"),
    "T27": ("ten times the load", "goodput, deadlines, quick refusals"),
    "T28": ("webhook receivers that misbehave", "retries, and nobody else is held up"),
    "T29": ("a model file that is corrupt", "not ready, and it says why"),
    "T30": ("rolling restart and upgrade", "no job and no request fails"),
    "T31": ("slow and idle connections", "honest clients do not notice"),
    "T32": ("thousands of jobs", "memory stays flat"),
    "T33": ("any call of the ledger lost, before or after its effect", "every invariant holds"),
}

# Rows that other tests hold.
ELSEWHERE: Final = {
    "T4": ["tests/latentry/ledger/test_durability.py"],
    # Numbers that are none; here it is the answer alone.
    "T20": ["tests/worker/engine/vae/test_fp32_retry.py"],
    "T28": [
        "tests/service/webhooks/test_webhooks.py",
        "tests/service/webhooks/test_webhook_faults.py",
    ],
    "T33": ["tests/latentry/ledger/test_lost_calls.py", "tests/latentry/ledger/test_machine.py"],
}
