-- Ends what is overdue: leases, deadlines, dead workers. Run by every gateway about once a second.
-- ARGV: lease_ms, longest gap between sweeps in ms, crashes that make a job poison, batch size
-- Reads: bell, file, gone, virtual_time
-- Writes: active, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events, fileends,
--   job, leases, load, models, named_queue, pins, quarantined, queue, receivers, retention, servers, stop,
--   suspects, swept, tags, tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags,
--   user_time, users, waiting_cost, wake, weights, withdrawn, workers
-- Returns {models whose queue waits without a bell, refs to forget, refs of jobs that failed because
-- their records cannot be read}.
local lease, gap = tonumber(ARGV[1]), tonumber(ARGV[2])
local poison, batch = tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local last = tonumber(redis.call('GET', key('swept')) or now)
redis.call('SET', key('swept'), now)

if math.abs(now - last) > gap then
  -- No worker could renew meanwhile (Redis was down, or everything was), or the clock was set: leases
  -- start afresh, and no job is charged with a crash for it.
  for _, ref in ipairs(redis.call('ZRANGE', key('leases'), 0, -1)) do
    redis.call('ZADD', key('leases'), now + lease, ref)
  end
end

-- With the first worker that is back nothing goes that another one has.
local function keep_a_minute(model)
  redis.call('ZADD', key('servers', model), now + 60000, 'somebody')
  redis.call('PEXPIRE', key('servers', model), 300000)
end

if math.abs(now - last) > 240000 then
  -- Nor could any say what it has, which counts for five minutes.
  for _, model in ipairs(redis.call('HKEYS', key('models'))) do
    keep_a_minute(model)
  end
end

-- Jobs whose records cannot be read, which must not keep all others from being swept; and whether what runs
-- is counted as it is.
local broken, is_counted = {}, true

local function due(set)
  return redis.call('ZRANGEBYSCORE', key(set), '-inf', now, 'LIMIT', 0, batch)
end

-- The same, without jobs whose record is gone (evicted, or removed by hand).
local function overdue(set)
  local refs = {}
  for _, ref in ipairs(due(set)) do
    if redis.call('EXISTS', key('job', ref)) == 1 then
      refs[#refs + 1] = ref
    else
      redis.call('ZREM', key(set), ref)
      is_counted = false
    end
  end
  return refs
end

local function each(set, act)
  for _, ref in ipairs(overdue(set)) do
    local has_ended = is_terminal(field(ref, 'state'))
    if not pcall(act, ref) then
      break_off(ref, field(ref, 'model') or '', has_ended)
      broken[#broken + 1] = ref
      is_counted = false
    end
  end
end

each('leases', function(ref)
  local crashes = tonumber(field(ref, 'crashes'))
  if field(ref, 'step') then -- it was being denoised when its worker went silent
    crashes = redis.call('HINCRBY', key('job', ref), 'crashes', 1)
    redis.call('HINCRBY', key('job', ref), 'deaths', 1) -- never reset: for diagnosis
  end
  if field(ref, 'stop') then
    finish(ref, 'canceled')
  elseif crashes >= poison then
    finish(ref, 'failed', 'poison', 'Workers died ' .. crashes .. ' times while they ran this job.')
  else
    requeue(ref, field(ref, 'step'))
  end
end)

each('deadlines', expire)
if not is_counted then
  recount_leased()
end

redis.call('ZREMRANGEBYSCORE', key('workers'), '-inf', now)

-- Upscalers and the like, whose names have a slash: workers never remove one while they run, but may come
-- back without it. While there is no worker at all, what waits for them waits as all else does.
local function is_beside_models(name)
  return string.find(name, '/', 1, true) ~= nil
end

local is_nobody_there = redis.call('ZCARD', key('workers')) == 0
for _, model in ipairs(redis.call('HKEYS', key('models'))) do
  if is_beside_models(model) then
    if is_nobody_there then
      keep_a_minute(model)
    elseif redis.call('ZCOUNT', key('servers', model), now, '+inf') == 0 then
      redis.call('HDEL', key('models'), model)
      redis.call('SADD', key('withdrawn'), model)
    end
  end
end

-- Jobs that ran when their models went, and came back since. Of what is beside models, also jobs of gateways
-- that have read the catalogue a moment before: no worker says again that it is gone.
for _, model in ipairs(redis.call('SMEMBERS', key('withdrawn'))) do
  end_waiting(model, batch)
  if redis.call('EXISTS', key('load', model)) == 0 and not is_beside_models(model) then
    redis.call('SREM', key('withdrawn'), model) -- nothing of it runs that could come back
  end
end

local bells = {}
for _, model in ipairs(redis.call('HKEYS', key('models'))) do
  if redis.call('ZCARD', key('queue', model)) > 0
    and redis.call('EXISTS', key('bell', model)) == 0 then
    bells[#bells + 1] = model
  end
end

local done = {}
for _, ref in ipairs(due('retention')) do
  local state = field(ref, 'state')
  if not state or is_terminal(state) then -- for one gateway; should it fail, for another in a minute
    done[#done + 1] = ref
    redis.call('ZADD', key('retention'), now + 60000, ref)
  else -- not ended: its outputs will have to be kept a while
    redis.call('ZADD', key('retention'), now + field(ref, 'ttl_ms'), ref)
  end
end
return { bells, done, broken }
