"""The fault matrix: each fault and the required behaviour."""

from typing import Final

MATRIX: Final = {
    "T1": (
        "a worker is killed (`kill -9`) at any point of a job",
        "another worker finishes the job, once",
    ),
    "T2": ("a worker is killed (`kill -9`) while it handles a bell", "the sweeper rings again"),
    "T3": (
        "a worker is frozen past the end of its lease, then resumed",
        "the ledger rejects all that it reports",
    ),
    "T4": (
        "Valkey is killed (`kill -9`) and restarted",
        "`503` or a short wait; no acknowledged job is lost",
    ),
    "T5": (
        "connections to Valkey are dropped silently",
        "`503` within 4 s; workers continue within 30 s",
    ),
    "T6": ("Valkey is slow or paused", "response times are bounded; no backlog builds up"),
    "T7": ("Valkey's memory is full", "new jobs get `503`; running jobs end"),
    "T8": (
        "the end of the append-only file is lost",
        "Valkey starts; requests can be repeated with the same key",
    ),
    "T9": ("failover to a replica", "jobs that the replica has continue"),
    "T10": (
        "the object store answers 500, slowly or not at all",
        "no job succeeds before its picture is readable",
    ),
    "T11": ("the disk is full", "`storage_unavailable`; no partial file is visible"),
    "T12": (
        "the same POST is sent fifty times at once",
        "one job; another body with the same key is refused",
    ),
    "T13": ("a bell arrives a thousand times", "no effect"),
    "T14": ("forged Celery messages arrive", "they are dropped; the worker continues"),
    "T15": ("a worker's clock is hours off", "no effect: all times come from one clock"),
    "T16": (
        "the device runs out of memory",
        "the batch is split; only an image that does not fit alone fails",
    ),
    "T17": (
        "a job kills its process",
        "`poison` after three deaths, the last one alone on its worker",
    ),
    "T18": ("the device fails permanently", "the process exits with 70; its jobs run again"),
    "T19": ("a step hangs, also in C code", "its jobs are released within 30 s"),
    "T20": ("a picture has non-finite values", "the job fails and never succeeds"),
    "T21": ("SIGTERM during a long job", "the job is handed over; at most one step is repeated"),
    "T22": ("SIGTERM, then SIGKILL", "the job continues from its last checkpoint"),
    "T23": (
        "a job is cancelled before, during and after it runs",
        "one outcome wins; an end state is final",
    ),
    "T24": ("a deadline passes while a job is queued", "`expired` without GPU work"),
    "T25": ("a client disconnects while it waits", "the job continues"),
    "T26": (
        "a tenant submits 10,000 jobs",
        "another tenant's first job waits for one batch at most",
    ),
    "T27": ("ten times the possible load", "goodput, deadlines and fast refusals are kept"),
    "T28": (
        "webhook receivers misbehave",
        "deliveries are retried; other receivers are not delayed",
    ),
    "T29": ("a model file is corrupt", "its worker ends and says why; gateways stay ready"),
    "T30": ("rolling restart and upgrade", "no job and no request fails"),
    "T31": ("slow and idle connections", "other clients are not affected"),
    "T32": ("thousands of jobs", "memory use stays constant"),
    "T33": ("any call of the ledger is lost, before or after its effect", "every invariant holds"),
    "T34": (
        "workers, gateways and Valkey are killed under jobs of every mode and kind",
        "each job ends once, with all steps, frames and its clip; pins are gone; strict pixels are"
        " the same",
    ),
}

# Rows that other tests cover, or cover as well.
ELSEWHERE: Final = {
    "T4": ["tests/latentry/ledger/test_durability.py"],
    # The engine's part; tests/faults has the service's answer.
    "T20": ["tests/worker/engine/vae/test_fp32_retry.py"],
    "T28": [
        "tests/service/webhooks/test_webhooks.py",
        "tests/service/webhooks/test_webhook_faults.py",
    ],
    "T33": ["tests/latentry/ledger/test_lost_calls.py", "tests/latentry/ledger/test_machine.py"],
}
