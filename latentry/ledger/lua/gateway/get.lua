-- Reads a job as it stands.
-- ARGV: ref
-- Reads: job, load, quarantined, suspects, tenant_queue, waiting_cost, weights, worker, workers
-- Answers what `read_job` says.
return read_job(ARGV[1])
