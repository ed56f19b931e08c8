-- Reads a job as it stands.
-- ARGV: ref
-- Reads: job, load, named_queue, quarantined, suspects, tenant_queue, user_cost, user_queue,
--   user_time, users, waiting_cost, weights, worker, workers
-- Returns what `read_job` does.
return read_job(ARGV[1])
