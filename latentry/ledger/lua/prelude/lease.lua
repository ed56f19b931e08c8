-- Leases: which worker runs a job, and until when.

local function grant_lease(ref, worker, lease_ms)
  local now, job = now_ms(), key('job', ref)
  local model, cost, images, fence, finish_by = fields(ref, 'model', 'cost_ms', 'n', 'fence',
    'finish_by_ms')
  -- The clock too, so that it is greater than any that was given and lost in a power failure.
  fence = math.max(fence + 1, now)
  redis.call('HSET', job, 'fence', fence, 'worker', worker)
  redis.call('HINCRBY', job, 'claims', 1)
  redis.call('HSETNX', job, 'started_ms', now)
  redis.call('ZADD', key('leases'), now + lease_ms, ref)
  if finish_by then
    redis.call('ZADD', key('deadlines'), finish_by, ref)
  end
  add_load(model, 'leased_ms', cost)
  add_load(model, 'leased_images', images)
end

local function end_lease(ref)
  if redis.call('ZREM', key('leases'), ref) == 1 then
    local model, cost, images = fields(ref, 'model', 'cost_ms', 'n')
    add_load(model, 'leased_ms', -cost)
    add_load(model, 'leased_images', -images)
    redis.call('ZREM', key('deadlines'), ref)
  end
end

-- Whether the lease with this fence still holds.
local function holds(ref, fence)
  local state, held = fields(ref, 'state', 'fence')
  return state == 'running' and held == fence
end
