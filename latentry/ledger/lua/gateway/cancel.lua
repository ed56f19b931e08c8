-- Cancels a job: one that waits ends at once, one that runs is stopped by its worker at the next step.
-- ARGV: ref
-- Reads: file, gone
-- Writes: active, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events, fileends,
--   job, leases, load, named_queue, pins, quarantined, queue, receivers, retention, stop, suspects,
--   tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags, user_time, users,
--   waiting_cost, weights
-- Returns 1, or 0 if there is no such job.
local ref = ARGV[1]
local state = field(ref, 'state')
if not state then
  return 0
end
if state == 'queued' then
  finish(ref, 'canceled')
elseif state == 'running' then
  redis.call('HSET', key('job', ref), 'stop', 1)
  redis.call('PUBLISH', channel('stop'), ref)
end
return 1
