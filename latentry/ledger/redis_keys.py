"""Every key and channel of the ledger, and how names are built here and in `prelude/keys.lua`."""

from typing import Final, Literal, NamedTuple


class Key(NamedTuple):
    """One kind of key: `name:<part>:…` below the root, its Redis type, contents and time to live.

    Without a time to live it is emptied by what removes its entries, or bounded by what it holds.
    """

    pattern: str
    type: Literal["hash", "list", "set", "stream", "string", "zset", "channel"]
    holds: str
    ttl: str = ""

    @property
    def name(self) -> str:
        """Its first word, by which scripts name it."""
        return self.pattern.partition(":")[0]


# A ref is `tenant:id`, a user what `refs.user_id` makes of its name, or `-`; `by` says what a
# sorted set is ordered by; times are the ledger's Unix ms.
KEYS: Final = (
    # Jobs
    Key("job:<ref>", "hash", "the record of a job", "from its end: its result's, and an hour"),
    Key("events:<ref>", "stream", "a job's state changes and images", "the job's"),
    Key("jobs:<tenant>", "zset", "a tenant's jobs, by sequence number"),
    Key("forgotten:<ref>", "string", "there was such a job until its time was over", "the job's"),
    Key("idem:<tenant>:<key>", "hash", "an idempotency key's job and body hash", "the job's"),
    Key("sequence", "string", "the sequence number of the latest job"),
    Key("retention", "zset", "all jobs, by when they may be forgotten"),
    Key("ends", "list", "ended jobs that no gateway has counted yet, capped"),
    Key("taken_ends:<taker>", "list", "a gateway's last token and the ends it took", "an hour"),
    # Queues
    Key("queue:<model>", "zset", "the jobs that wait for a model, by sequence number"),
    Key("tenant_queue:<model>:<tenant>", "zset", "a tenant's own that name no user, by score: µs"),
    Key("named_queue:<model>:<tenant>", "zset", "its own that name one, likewise"),
    Key("user_queue:<model>:<tenant>:<user>", "zset", "a user's own of these, likewise"),
    Key("suspects:<model>", "zset", "those whose worker died once, by when (µs) they came back"),
    Key("quarantined:<model>", "zset", "those whose workers died more often, likewise"),
    Key("reserved:<ref>", "string", "the worker that is to run this quarantined job", "30 s"),
    Key("urgent:<ref>", "string", "the worker that makes room for this urgent job", "3 s"),
    Key("deadlines", "zset", "jobs that must start or end in time, by when they expire"),
    # Fair queueing
    Key("tenants:<model>", "zset", "the tenants that wait in this queue, by tag"),
    Key("weights:<model>", "hash", "their weights"),
    Key("tags", "zset", "tenants' tags, where greater than the virtual time"),
    Key("virtual_time", "string", "the greatest tag that was served"),
    Key("waiting_cost:<tenant>", "hash", "the cost of what it has waiting, by model, in worker ms"),
    Key("users:<model>:<tenant>", "zset", "a tenant's users that wait in this queue, by tag"),
    Key("user_tags:<tenant>", "zset", "its users' tags, where above its virtual time; capped"),
    Key("user_time:<tenant>", "hash", "while they take turns: its virtual time, the next new tag"),
    Key("user_cost:<tenant>:<user>", "hash", "the cost of what a user has waiting, by model"),
    Key("load:<model>", "hash", "waiting_ms, leased_ms, leased_images: what waits and runs"),
    # Leases
    Key("leases", "zset", "running jobs, by when their lease ends"),
    Key("claimed:<worker>", "hash", "a worker's last token and claims", "a lease's, and a minute"),
    Key("checkpoint:<ref>", "hash", "a job's unfinished images: index to bytes", "a wait's"),
    Key("checkpoints", "hash", "bytes of these by ref, and of all as `total`"),
    # Models and workers
    Key("models", "hash", "the catalogue: model id to card"),
    Key("adapters", "hash", "model id to the digest of its workers' adapters"),
    Key("adapter_list:<digest>", "string", "adapters, as workers read their files", "7 days"),
    Key("workers", "zset", "live workers, by when they count as dead"),
    Key(
        "servers:<model>",
        "zset",
        "who has it, loads it, or had it just now, till when",
        "5 minutes",
    ),
    Key("withdrawn", "set", "models that no worker has, of which jobs may still come back"),
    Key("worker:<id>", "string", "the models that one of them serves", "some heartbeats"),
    Key("listed:<worker>", "string", "the digest of the adapters that it has", "some heartbeats"),
    Key("held:<worker>", "set", "the adapters (SHA-256) that it has in memory", "some heartbeats"),
    Key("bell:<model>", "string", "a Celery message for this model is on its way", "2 s"),
    # API keys
    Key("apikeys", "zset", "ids of all API keys there ever were, by when they were made"),
    Key("apikey:<id>", "hash", "tenant, scopes, limits, digest of the secret"),
    Key("rate:<id>", "string", "when its bucket of requests is full again", "until then"),
    Key(
        "taken:<token>", "string", "what a call took of a rate, in case it is repeated", "a minute"
    ),
    Key("active:<tenant>:<id>", "set", "jobs of a key that have not ended, if it may have so many"),
    Key("usage:<tenant>:<day>", "hash", "what a tenant's keys used: `<id>:<what>`", "400 days"),
    Key("counted:<token>", "string", "a refusal that was counted by now", "a minute"),
    # Instances
    Key("instance:<tenant>:<id>", "string", "a key's options at A1111's door", "30 days"),
    Key("tasks:<tenant>:<id>", "zset", "its latest jobs there, by when (µs) they came", "an hour"),
    Key("preview:<ref>", "hash", "the latest preview of a job that is looked at there", "15 s"),
    # Files
    Key("file:<ref>", "hash", "the record of a file, a picture that a caller stored"),
    Key("files:<tenant>", "zset", "a tenant's files, by when they expire"),
    Key("filebytes:<tenant>", "string", "bytes of all of them"),
    Key("pins:<ref>", "set", "the jobs that use a file and have not ended"),
    Key("fileends", "zset", "all files, by when they may be removed"),
    # Webhooks
    Key(
        "delivery:<ref>:<event>",
        "hash",
        "its receiver, state, attempts, and the job's record",
        "7 days, the job's",
    ),
    Key("deliveries", "zset", "all that wait, by when they were entered"),
    Key("deliveries:<receiver>", "zset", "those of `tenant@host:port`, by when they are due"),
    Key("receivers", "zset", "receivers, by when their first delivery is due"),
    Key("gone:<tenant>:<sha1>", "string", "the URL with this hash answered 410", "7 days"),
    Key("secrets:<tenant>", "zset", "secrets that sign a tenant's deliveries, by when they stop"),
    # Upkeep
    Key("swept", "string", "when the last sweep was"),
    Key("write_check", "string", "that the ledger can be written", "1 s"),
    # Channels, which begin with the database too
    Key("updates", "channel", "events, steps and previews as they happen"),
    Key("wake", "channel", "the model whose queue got longer"),
    Key("stop", "channel", "the ref of a job to stop"),
    Key("check", "channel", "that updates can be published; nobody listens"),
)


def root(prefix: str) -> str:
    """The common beginning of all keys of one deployment.

    Its braces put all keys into one hash slot, so that scripts stay atomic on a cluster.
    """
    return "{" + prefix + "}"


def channels(root: str, database: int) -> str:
    """The common beginning of its channels, which all databases of a server share."""
    return f"{root}@{database}"


def key(root: str, *parts: str) -> str:
    """One key, as `key(...)` in the prelude builds it; or a channel, from `channels(...)`."""
    return ":".join((root, *parts))
