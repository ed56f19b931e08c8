-- The queues. `queue` has all waiting jobs of a model by sequence number. Of a tenant's own of them,
-- `tenant_queue` has by score those that name no user, `named_queue` those that do, and `user_queue` each
-- user's. Those that were running when a worker died are in queues of their own instead, `suspects` after
-- one death and `quarantined` after more, and go before all others.

local function add_load(model, what, amount)
  if redis.call('HINCRBY', key('load', model), what, amount) == 0 then
    redis.call('HDEL', key('load', model), what)
  end
end

local function own_queue(model, tenant, crashes, user)
  if crashes == 0 then
    return user and key('named_queue', model, tenant) or key('tenant_queue', model, tenant)
  end
  if crashes == 1 then
    return key('suspects', model)
  end
  return key('quarantined', model)
end

-- Its position among its user's own, in this model's queue.
local function position_of(ref, model, crashes, user)
  local tenant = tenant_of(ref)
  local own = crashes == '0' and queue_of_user(model, tenant, user or NOBODY)
    or own_queue(model, tenant, tonumber(crashes))
  return redis.call('ZRANK', own, ref)
end

-- Returns its position.
local function enqueue(ref)
  local model, sequence, score, cost, weight, crashes, deadline, finish_by, user = fields(ref, 'model',
    'sequence', 'score', 'cost_ms', 'weight', 'crashes', 'deadline_ms', 'finish_by_ms', 'user')
  local tenant = tenant_of(ref)
  redis.call('ZADD', key('queue', model), sequence, ref)
  redis.call('ZADD', key('deadlines'), math.min(deadline, finish_by or deadline), ref)
  add_load(model, 'waiting_ms', cost)
  if crashes == '0' then
    enter_user(ref, tenant, model, user, score, cost) -- before it counts as its tenant's
  end
  local own = own_queue(model, tenant, tonumber(crashes), user)
  redis.call('ZADD', own, crashes == '0' and score or now_us(), ref)
  if crashes == '0' then
    redis.call('HINCRBY', key('waiting_cost', tenant), model, cost)
    redis.call('HSET', key('weights', model), tenant, weight)
    redis.call('ZADD', key('tenants', model), 'NX', tag_of(tenant), tenant)
  end
  local position = position_of(ref, model, crashes, user)
  emit(ref, 'queued', string.format('{"position":%d}', position))
  redis.call('PUBLISH', channel('wake'), model)
  return position
end

-- How many of a tenant's jobs wait in this queue.
local function count_own(model, tenant)
  return redis.call('ZCARD', key('tenant_queue', model, tenant))
    + redis.call('ZCARD', key('named_queue', model, tenant))
end

-- A tenant with nothing more in this queue takes no part in it.
local function drop_idle_tenant(model, tenant)
  if count_own(model, tenant) == 0 then
    redis.call('ZREM', key('tenants', model), tenant)
    redis.call('HDEL', key('weights', model), tenant)
    redis.call('HDEL', key('waiting_cost', tenant), model)
    if take_turns(tenant) and redis.call('EXISTS', key('waiting_cost', tenant)) == 0 then
      end_turns(tenant)
    end
  end
end

local function dequeue(ref)
  local model, cost, crashes, user = fields(ref, 'model', 'cost_ms', 'crashes', 'user')
  if redis.call('ZREM', key('queue', model), ref) == 0 then
    return
  end
  local tenant = tenant_of(ref)
  redis.call('ZREM', key('deadlines'), ref)
  redis.call('ZREM', own_queue(model, tenant, tonumber(crashes), user), ref)
  add_load(model, 'waiting_ms', -cost)
  if crashes == '0' then
    redis.call('HINCRBY', key('waiting_cost', tenant), model, -cost)
    leave_user(ref, tenant, model, user, cost)
    drop_idle_tenant(model, tenant)
  end
end

-- Out of every queue, where its record is gone (evicted, or removed by hand). `user`: whose it was, if
-- known.
local function purge(ref, model, user)
  local tenant = tenant_of(ref)
  purge_user(ref, tenant, model, user) -- before it leaves its tenant's
  for _, queue in ipairs({ key('queue', model), key('tenant_queue', model, tenant),
    key('named_queue', model, tenant), key('suspects', model), key('quarantined', model),
    key('deadlines') }) do
    redis.call('ZREM', queue, ref)
  end
  drop_idle_tenant(model, tenant)
  if redis.call('EXISTS', key('queue', model)) == 0 then
    redis.call('HDEL', key('load', model), 'waiting_ms')
  end
end

-- Whether a worker has all these adapters in memory: SHA-256 by spaces.
local function has_in_memory(worker, adapters)
  for sha256 in string.gmatch(adapters, '%S+') do
    if redis.call('SISMEMBER', key('held', worker), sha256) == 0 then
      return false
    end
  end
  return true
end
