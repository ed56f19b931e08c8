-- Removes every trace of a job. One that has not ended is canceled first, so that whoever follows it
-- hears the end; a worker that still runs it finds its lease lost.
-- ARGV: ref, tenant, 1 if its tenant deletes it: then its deliveries go too; else it is remembered for
--   as long again that there was one
-- Reads: file, gone
-- Writes: active, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events, fileends,
--   forgotten, job, jobs, leases, load, named_queue, pins, quarantined, queue, receivers, retention,
--   stop, suspects, tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags,
--   user_time, users, waiting_cost, weights
-- Returns 1 if there was something to forget.
local ref = ARGV[1]
local state = field(ref, 'state')
if state and not is_terminal(state) then
  finish(ref, 'canceled')
  redis.call('PUBLISH', channel('stop'), ref)
end
drop_checkpoints(ref)
if ARGV[3] == '1' then
  drop_deliveries(ref)
end
local ttl = field(ref, 'ttl_ms')
if ARGV[3] ~= '1' and tonumber(ttl or 0) > 0 then
  redis.call('SET', key('forgotten', ref), '', 'PX', ttl)
end
redis.call('ZREM', key('retention'), ref)
redis.call('ZREM', key('jobs', ARGV[2]), ref)
return redis.call('DEL', key('job', ref), key('events', ref)) > 0 and 1 or 0
