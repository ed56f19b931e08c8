-- The waiting lines, and what is in them. `line` has all jobs of a model by turn. Each tenant's own
-- `part` of it has them by place, but for those that were running when a worker died: suspects have
-- lines of their own, `suspects` after one death and `loners` after more, and go before all others.

local function add_load(model, what, amount)
  if redis.call('HINCRBY', key('load', model), what, amount) == 0 then
    redis.call('HDEL', key('load', model), what)
  end
end

local function own_queue(model, tenant, crashes)
  if crashes == 0 then
    return key('tenant_queue', model, tenant)
  end
  return key(crashes == 1 and 'suspects' or 'quarantined', model)
end

local function enqueue(ref)
  local model, turn, score, cost, weight, crashes, deadline, finish_by = fields(ref, 'model', 'sequence',
    'score', 'cost_ms', 'weight', 'crashes', 'deadline_ms', 'finish_by_ms')
  local tenant = tenant_of(ref)
  redis.call('ZADD', key('queue', model), turn, ref)
  redis.call('ZADD', key('deadlines'), math.min(deadline, finish_by or deadline), ref)
  add_load(model, 'waiting_ms', cost)
  local own = own_queue(model, tenant, tonumber(crashes))
  redis.call('ZADD', own, crashes == '0' and score or now_us(), ref)
  if crashes == '0' then
    redis.call('HINCRBY', key('waiting_cost', tenant), model, cost)
    redis.call('HSET', key('weights', model), tenant, weight)
    redis.call('ZADD', key('tenants', model), 'NX', tag_of(tenant), tenant)
  end
  emit(ref, 'queued', string.format('{"position":%d}', redis.call('ZRANK', own, ref)))
  redis.call('PUBLISH', key('wake'), model)
end

-- The tenant has nothing more in this line.
local function drop_idle_tenant(model, tenant)
  if redis.call('EXISTS', key('tenant_queue', model, tenant)) == 0 then
    redis.call('ZREM', key('tenants', model), tenant)
    redis.call('HDEL', key('weights', model), tenant)
    redis.call('HDEL', key('waiting_cost', tenant), model)
  end
end

local function dequeue(ref)
  local model, cost, crashes = fields(ref, 'model', 'cost_ms', 'crashes')
  if redis.call('ZREM', key('queue', model), ref) == 0 then
    return
  end
  local tenant = tenant_of(ref)
  redis.call('ZREM', key('deadlines'), ref)
  redis.call('ZREM', own_queue(model, tenant, tonumber(crashes)), ref)
  add_load(model, 'waiting_ms', -cost)
  if crashes == '0' then
    redis.call('HINCRBY', key('waiting_cost', tenant), model, -cost)
    drop_idle_tenant(model, tenant)
  end
end

-- A record is gone (evicted, or removed by hand): nothing says any more what else there was of it.
local function purge(ref, model)
  local tenant = tenant_of(ref)
  for _, queue in ipairs({ key('queue', model), key('tenant_queue', model, tenant), key('suspects', model),
    key('quarantined', model), key('deadlines') }) do
    redis.call('ZREM', queue, ref)
  end
  drop_idle_tenant(model, tenant)
  if redis.call('EXISTS', key('queue', model)) == 0 then
    redis.call('HDEL', key('load', model), 'waiting_ms')
  end
end
