-- Takes a model out of the catalogue that a worker serves no longer, unless another one does; then the
-- jobs that wait for it fail.
-- ARGV: worker, model, most jobs to end, error code, message
-- Reads: file, gone, worker, workers
-- Writes: active, adapters, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events,
--   fileends, job, leases, load, models, pins, quarantined, queue, receivers, retention, suspects,
--   tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags, user_time, users,
--   waiting_cost, weights
-- Returns how many jobs were ended: if as many as may be, more may wait.
local worker, model, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
for _, other in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), now_ms(), '+inf')) do
  local serves = ' ' .. (redis.call('GET', key('worker', other)) or '') .. ' '
  if other ~= worker and string.find(serves, ' ' .. model .. ' ', 1, true) then
    return 0
  end
end
redis.call('HDEL', key('models'), model)
redis.call('HDEL', key('adapters'), model)
local refs = redis.call('ZRANGE', key('queue', model), 0, most - 1)
for _, ref in ipairs(refs) do
  if redis.call('EXISTS', key('job', ref)) == 0 then
    purge(ref, model)
  elseif not pcall(finish, ref, 'failed', ARGV[4], ARGV[5]) then
    break_off(ref, model)
  end
end
return #refs
