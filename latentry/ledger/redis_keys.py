"""Every key the ledger writes. One rule builds them, here and in `lua/prelude/keys.lua`.

    {root}:job:<ref>         hash    the record of one job; ref is `tenant:id`
    {root}:events:<ref>      stream  its state changes and images, bounded
    {root}:line:<model>      zset    jobs waiting, by turn
    {root}:part:<model>:<tenant>  zset  a tenant's own of them by place: µs, priority counted in
    {root}:suspects:<model>  zset    those whose worker died once, by the microsecond they came back
    {root}:quarantined:<model>    zset    those whose workers died more than once, likewise
    {root}:kept:<ref>        string  the worker that is to run this quarantined
    {root}:turns:<model>     zset    the tenants that wait in this line, by tag
    {root}:tags              zset    tenants' tags, where greater than the clock
    {root}:clock             string  the virtual time: the greatest tag that was served
    {root}:wants:<tenant>    hash    the cost of what it has waiting, by model, in worker ms
    {root}:weights:<model>   hash    the weights of the tenants that wait in this line
    {root}:load:<model>      hash    waiting_ms, leased_ms, leased_images: what waits and runs
    {root}:claimed:<worker>  hash    its last claims and their token
    {root}:bell:<model>      string  a Celery message for this line is on its way
    {root}:checkpoint:<ref>  hash    where its unfinished images stand: index to bytes
    {root}:checkpoints       hash    bytes held so by each ref, and by all of them as `total`
    {root}:leases            zset    running jobs, by the millisecond their lease ends
    {root}:deadlines         zset    jobs that must start or end in time, by the ms they expire
    {root}:retention         zset    all jobs, by the millisecond they may be forgotten
    {root}:jobs:<tenant>     zset    a tenant's jobs, by turn
    {root}:idem:<tenant>:<k> string  an idempotency key's job id and body hash
    {root}:apikeys           zset    ids of all API keys there ever were, by the time they were made
    {root}:apikey:<id>       hash    one of them: whose, for what, its bounds, its secret's digest
    {root}:rate:<id>         string  the millisecond its bucket of requests is full again
    {root}:active:<tenant>:<id>  set jobs of a key that have not ended, if they are bounded
    {root}:usage:<tenant>:<day>  hash what a tenant's keys used: `<id>:<what>` to how much
    {root}:file:<ref>        hash    one picture that a caller keeps here
    {root}:files:<tenant>    zset    a tenant's files, by the millisecond they expire
    {root}:filebytes:<tenant>  string  bytes of all of them
    {root}:fileends          zset    all files, by the millisecond they may be removed
    {root}:delivery:<ref>:<event>  hash  one notice to a receiver: where to, of what, how it went
    {root}:deliveries        zset    all that wait, by the millisecond they were entered
    {root}:deliveries:<r>    zset    those of one receiver, `tenant@host:port`, by when they are due
    {root}:receivers         zset    receivers, by when their first delivery is due
    {root}:gone:<tenant>:<u> string  the URL with this SHA-1 answered 410
    {root}:secrets:<tenant>  zset    what signs a tenant's notices, by when it stops to
    {root}:pressing:<ref>    string  the worker that makes room for this job
    {root}:models            hash    the catalogue: model id to card
    {root}:workers           zset    live workers, by the millisecond they count as dead
    {root}:worker:<id>       string  the models one of them holds
    {root}:turn              string  counter that orders everything
    {root}:swept             string  when a sweeper last ran
    {root}:probe             string  that the ledger can be written, for a second
    {root}:news              channel events, steps and previews as they happen
    {root}:wake              channel the name of a line that got longer
    {root}:stop              channel the ref of a job to stop

`{root}` keeps its braces: one hash slot, so that scripts stay atomic on a cluster.
"""


def root(prefix: str) -> str:
    """The common beginning of all keys of one deployment."""
    return "{" + prefix + "}"


def key(root: str, *parts: str) -> str:
    """One key or channel, as `key(...)` in the prelude builds it."""
    return ":".join((root, *parts))
