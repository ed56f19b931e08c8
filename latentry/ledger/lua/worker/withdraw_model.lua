-- Takes a model out of the catalogue that a worker serves no longer, unless another one has it, or had it a
-- short time ago and may only be restarting. Then the jobs that wait for it fail, and those that come back
-- to its queue later, at the next sweep.
-- ARGV: worker, model, most jobs to end
-- Reads: file, gone
-- Writes: active, adapters, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events,
--   fileends, job, leases, load, models, named_queue, pins, quarantined, queue, receivers, retention,
--   servers, suspects, tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags,
--   user_time, users, waiting_cost, weights, withdrawn
-- Returns how many jobs were ended: if as many as may be, more may wait.
local worker, model, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('ZREM', key('servers', model), worker)
if redis.call('ZCOUNT', key('servers', model), now_ms(), '+inf') > 0 then
  return 0
end
redis.call('HDEL', key('models'), model)
redis.call('HDEL', key('adapters'), model)
redis.call('SADD', key('withdrawn'), model)
return end_waiting(model, most)
