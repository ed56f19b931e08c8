-- Lists a page of a tenant's jobs as they stand, the newest first.
-- ARGV: tenant, sequence number to start below ('+inf' for the newest), how many
-- Reads: job, jobs, load, quarantined, suspects, tenant_queue, waiting_cost, weights, worker,
--   workers
-- Returns what `read_job` does of each.
local refs = redis.call('ZREVRANGEBYSCORE', key('jobs', ARGV[1]), ARGV[2], '-inf', 'LIMIT', 0, ARGV[3])
local answers = {}
for i = 1, #refs do
  answers[i] = read_job(refs[i])
end
return answers
