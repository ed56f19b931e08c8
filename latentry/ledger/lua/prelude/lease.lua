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

-- What runs, counted anew: a record that is gone, or cannot be read, does not tell what was added for it.
local function recount_leased()
  local sums = {}
  for _, ref in ipairs(redis.call('ZRANGE', key('leases'), 0, -1)) do
    local model, cost, images = fields(ref, 'model', 'cost_ms', 'n')
    local sum = sums[model] or { 0, 0 }
    if model then
      sums[model] = { sum[1] + (tonumber(cost) or 0), sum[2] + (tonumber(images) or 0) }
    end
  end
  for _, models in ipairs({ redis.call('HKEYS', key('models')),
    redis.call('SMEMBERS', key('withdrawn')) }) do
    for _, model in ipairs(models) do
      local sum = sums[model] or { 0, 0 }
      redis.call('HDEL', key('load', model), 'leased_ms', 'leased_images')
      add_load(model, 'leased_ms', sum[1])
      add_load(model, 'leased_images', sum[2])
    end
  end
end

-- Whether the lease with this fence still holds.
local function holds(ref, fence)
  local state, held = fields(ref, 'state', 'fence')
  return state == 'running' and held == fence
end
