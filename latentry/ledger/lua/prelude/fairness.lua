-- Which tenant is next: start-time fair queueing (Goyal, Vin & Cheng 1996) over the tenants that wait.
-- A tenant's tag rises by cost / weight with each of its jobs that is claimed; the least tag is next.
-- The virtual time is the greatest tag that was served: one for all queues, so that work in one delays
-- no tenant in another. Lower tags count as equal to it, so that a tenant saves up nothing while it is
-- idle. `tags` has only those above it; a waiting tenant's tag is in the `tenants` of its queues. Whose
-- turn it is among a tenant's users is told in `users.lua`.

local function virtual_time()
  return tonumber(redis.call('GET', key('virtual_time')) or 0)
end

local function tag_of(tenant)
  return tonumber(redis.call('ZSCORE', key('tags'), tenant) or virtual_time())
end

local function set_tag(tenant, tag)
  redis.call('ZADD', key('tags'), tag, tenant)
  for _, model in ipairs(redis.call('HKEYS', key('waiting_cost', tenant))) do
    redis.call('ZADD', key('tenants', model), 'XX', tag, tenant)
  end
end

-- How far a job moves its tenant's tag.
local function stride(ref)
  local cost, weight = fields(ref, 'cost_ms', 'weight')
  return math.max(1, math.ceil(cost / weight))
end

-- A job is claimed, at its tenant's tag (`in_order`), or before it: suspects and urgent jobs.
local function charge(ref, tag, in_order)
  local from = math.max(virtual_time(), tag)
  if in_order then
    redis.call('SET', key('virtual_time'), from)
    redis.call('ZREMRANGEBYSCORE', key('tags'), '-inf', from)
  end
  set_tag(tenant_of(ref), from + stride(ref))
  charge_user(ref, in_order)
end

-- A job comes back unfinished: it is charged when it is claimed again, and neither a worker that stops
-- nor one that dies puts its tenant behind others.
local function refund(ref)
  local tenant = tenant_of(ref)
  set_tag(tenant, tag_of(tenant) - stride(ref))
  refund_user(ref)
end

-- The first job of this queue, with its score; but for those in `left`, of which there are so many.
local function first_but(queue, left, count)
  local jobs = redis.call('ZRANGE', queue, 0, count, 'WITHSCORES')
  for i = 1, #jobs, 2 do
    if not left[jobs[i]] then
      return jobs[i], tonumber(jobs[i + 1])
    end
  end
end

-- The next job of a tenant in this queue, with its score; where users take turns, of the user with the
-- least tag, and with both.
local function next_of_tenant(model, tenant, left, count)
  if not take_turns(tenant) then
    return first_but(key('tenant_queue', model, tenant), left, count)
  end
  local users = redis.call('ZRANGE', key('users', model, tenant), 0, count, 'WITHSCORES')
  for i = 1, #users, 2 do
    local ref, score = first_but(queue_of_user(model, tenant, users[i]), left, count)
    if ref then
      return ref, score, users[i], tonumber(users[i + 1])
    end
  end
end

local function goes_before(one, other)
  if one.tag ~= other.tag then
    return one.tag < other.tag
  end
  if one.tenant == other.tenant and one.user_tag ~= other.user_tag then
    return one.user_tag < other.user_tag
  end
  return one.score < other.score
end

-- The next job of these queues: of the tenant with the least tag, the one with the least score; but for
-- those in `left`, of which there are so many.
local function next_job(models, left, count)
  local best
  for _, model in ipairs(models) do
    local tenants = redis.call('ZRANGE', key('tenants', model), 0, count, 'WITHSCORES')
    for i = 1, #tenants, 2 do
      local ref, score, user, user_tag = next_of_tenant(model, tenants[i], left, count)
      if ref then
        local head = { ref = ref, model = model, tenant = tenants[i], tag = tonumber(tenants[i + 1]),
          user = user, user_tag = user_tag, score = score }
        best = best and not goes_before(head, best) and best or head
        break
      end
    end
  end
  return best
end
