-- Takes deliveries that are due, for a while: what is not reported on in time is due again.
-- ARGV: lease_ms, room for how many, for how many of one receiver, of one tenant, and how many of each
-- receiver the caller is sending already, as a JSON object
-- Reads: gone, job
-- Writes: deliveries, delivery, receivers
-- Returns {name, record of the delivery, whether its job is still known, now} each.
local lease, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local per_receiver, per_tenant = tonumber(ARGV[3]), tonumber(ARGV[4])
local busy, of_tenant = cjson.decode(ARGV[5]), {}
local now, taken = now_ms(), {}
local LOOK_AT = 1000

local function tenant_of(receiver)
  return string.match(receiver, '^[^@]*')
end

for receiver, sending in pairs(busy) do
  local tenant = tenant_of(receiver)
  of_tenant[tenant] = (of_tenant[tenant] or 0) + sending
end

local function take(name, receiver)
  local delivery, ref = key('delivery', name), string.match(name, '^(.*):')
  local url = redis.call('HGET', delivery, 'url')
  if not url then -- evicted, or removed by hand
    unschedule(name, receiver)
  elseif redis.call('EXISTS', gone(receiver, url)) == 1 then
    end_delivery(ref, name, receiver, 'disabled')
  else
    redis.call('HINCRBY', delivery, 'attempts', 1)
    redis.call('ZADD', key('deliveries', receiver), now + lease, name)
    taken[#taken + 1] = { name, redis.call('HGETALL', delivery),
      redis.call('EXISTS', key('job', ref)), now }
    return 1
  end
  return 0
end

local due = redis.call('ZRANGEBYSCORE', key('receivers'), '-inf', now, 'LIMIT', 0, LOOK_AT)
for _, receiver in ipairs(due) do
  local tenant = tenant_of(receiver)
  local free = math.min(room - #taken, per_receiver - (busy[receiver] or 0),
    per_tenant - (of_tenant[tenant] or 0))
  if free > 0 then
    local names = redis.call('ZRANGEBYSCORE', key('deliveries', receiver), '-inf', now,
      'LIMIT', 0, free)
    for _, name in ipairs(names) do
      of_tenant[tenant] = (of_tenant[tenant] or 0) + take(name, receiver)
    end
    schedule_receiver(receiver)
  elseif #taken < room then -- its share is used up: let others come before it
    redis.call('ZADD', key('receivers'), now + 1000, receiver)
  end
end
return taken
