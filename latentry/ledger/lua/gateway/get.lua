-- Reads a job as it stands.
-- ARGV: ref
-- Reads: job, load, quarantined, suspects, tenant_queue, waiting_cost, weights, worker, workers
-- Returns what `read_job` does.
return read_job(ARGV[1])
