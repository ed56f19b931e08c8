-- Which of a tenant's users is next: fair queueing once more (see `fairness.lua`), inside one tenant. It
-- begins with the tenant's first job that names a user and ends when none of its jobs waits, and all tags
-- with it. Jobs that name none are one user's, and `tenant_queue` is its own at all times, so that
-- nothing has to be moved. Tags are in µs of cost; all users weigh the same.
-- `user_time` has the tenant's virtual time over all its queues, and the least tag of the next user who
-- comes: each gets one more than the last, so that of many who come the first is next. `user_tags` has
-- only the tags above the virtual time.

local NOBODY = '-'
-- A tenant that invents users must not fill the memory: beyond so many tags, the virtual time rises to the
-- least of them, as if that had been served.
local MOST_USER_TAGS = 10000

-- A user's own jobs in a queue.
local function queue_of_user(model, tenant, user)
  if user == NOBODY then
    return key('tenant_queue', model, tenant)
  end
  return key('user_queue', model, tenant, user)
end

-- Whether a tenant's users take turns. Read once in a script.
local turns = {}

local function take_turns(tenant)
  if turns[tenant] == nil then
    turns[tenant] = redis.call('EXISTS', key('user_time', tenant)) == 1
  end
  return turns[tenant]
end

local function user_time_of(tenant)
  return tonumber(redis.call('HGET', key('user_time', tenant), 'time'))
end

local function set_user_time(tenant, time)
  redis.call('HSET', key('user_time', tenant), 'time', time)
  redis.call('ZREMRANGEBYSCORE', key('user_tags', tenant), '-inf', time)
end

local function user_tag(tenant, user, time)
  return tonumber(redis.call('ZSCORE', key('user_tags', tenant), user) or time)
end

local function keep_user_tag(tenant, user, tag)
  local tags = key('user_tags', tenant)
  redis.call('ZADD', tags, tag, user)
  if redis.call('ZCARD', tags) > MOST_USER_TAGS then
    local least = redis.call('ZRANGE', tags, 0, 0, 'WITHSCORES')[2]
    set_user_time(tenant, math.max(user_time_of(tenant), least))
  end
end

local function set_user_tag(tenant, user, tag)
  keep_user_tag(tenant, user, tag)
  for _, model in ipairs(redis.call('HKEYS', key('user_cost', tenant, user))) do
    redis.call('ZADD', key('users', model, tenant), 'XX', tag, user)
  end
end

-- How far a job moves its user's tag.
local function user_stride(ref)
  return 1000 * math.max(1, field(ref, 'cost_ms'))
end

-- A job is claimed, at its user's tag (`in_order`), or before it.
local function charge_user(ref, in_order)
  local tenant = tenant_of(ref)
  if not take_turns(tenant) then
    return
  end
  local time = user_time_of(tenant)
  local user = field(ref, 'user') or NOBODY
  local from = math.max(time, user_tag(tenant, user, time))
  if in_order then
    set_user_time(tenant, from)
  end
  set_user_tag(tenant, user, from + user_stride(ref))
end

-- A job comes back unfinished, and is charged when it is claimed again.
local function refund_user(ref)
  local tenant = tenant_of(ref)
  if take_turns(tenant) then
    local user = field(ref, 'user') or NOBODY
    local tag = user_tag(tenant, user, user_time_of(tenant))
    set_user_tag(tenant, user, tag - user_stride(ref))
  end
end

-- From here on the tenant's users take turns. All that it has waiting by now names none.
local function begin_turns(tenant)
  turns[tenant] = true
  redis.call('HSET', key('user_time', tenant), 'time', 0, 'next', 0)
  local costs = redis.call('HGETALL', key('waiting_cost', tenant))
  for i = 1, #costs, 2 do
    local model, cost = costs[i], costs[i + 1]
    redis.call('HSET', key('user_cost', tenant, NOBODY), model, cost)
    redis.call('ZADD', key('users', model, tenant), 0, NOBODY)
  end
end

-- A user who did not wait in this queue.
local function add_user(tenant, model, user)
  local tag = redis.call('ZSCORE', key('user_tags', tenant), user)
  if not tag then
    local time, least = unpack(redis.call('HMGET', key('user_time', tenant), 'time', 'next'))
    tag = math.max(time, least)
    redis.call('HSET', key('user_time', tenant), 'next', tag + 1)
    keep_user_tag(tenant, user, tag)
  end
  redis.call('ZADD', key('users', model, tenant), tag, user)
end

-- A job that is about to enter a queue.
local function enter_user(ref, tenant, model, user, score, cost)
  if not take_turns(tenant) then
    if not user then
      return
    end
    begin_turns(tenant)
  end
  if user then
    redis.call('ZADD', queue_of_user(model, tenant, user), score, ref)
  end
  user = user or NOBODY
  redis.call('HINCRBY', key('user_cost', tenant, user), model, cost)
  if not redis.call('ZSCORE', key('users', model, tenant), user) then
    add_user(tenant, model, user)
  end
end

local function drop_idle_user(model, tenant, user)
  if redis.call('EXISTS', queue_of_user(model, tenant, user)) == 0 then
    redis.call('ZREM', key('users', model, tenant), user)
    redis.call('HDEL', key('user_cost', tenant, user), model)
  end
end

-- A job has left its queue.
local function leave_user(ref, tenant, model, user, cost)
  if not take_turns(tenant) then
    return
  end
  user = user or NOBODY
  redis.call('ZREM', queue_of_user(model, tenant, user), ref)
  redis.call('HINCRBY', key('user_cost', tenant, user), model, -cost)
  drop_idle_user(model, tenant, user)
end

-- The same where the job's record is gone; `user`: whose it was, if known. Only of one that waits with
-- a name is it not: then it is sought among the users who wait in this queue.
local function purge_user(ref, tenant, model, user)
  local users = { user or NOBODY }
  if not user and redis.call('ZSCORE', key('named_queue', model, tenant), ref) then
    users = redis.call('ZRANGE', key('users', model, tenant), 0, -1)
  end
  for _, one in ipairs(users) do
    if redis.call('ZREM', queue_of_user(model, tenant, one), ref) == 1 then
      drop_idle_user(model, tenant, one)
      return
    end
  end
end

-- Nothing of this tenant waits any more.
local function end_turns(tenant)
  turns[tenant] = false
  redis.call('DEL', key('user_time', tenant), key('user_tags', tenant))
end
