-- Reports what became of an attempt.
-- ARGV: name of the delivery, attempt, its state from now on, ms until the next attempt, the attempt as
-- JSON; the state 'waiting' asks for another attempt
-- Reads: job
-- Writes: deliveries, delivery, gone, receivers
-- Returns 1, or 0 if there is no such delivery, or it has ended.
local name, attempt, to = ARGV[1], ARGV[2], ARGV[3]
local LOGGED = 20
local delivery, ref = key('delivery', name), string.match(name, '^(.*):')
local known = redis.call('HMGET', delivery, 'state', 'attempts', 'receiver', 'url')
if not known[1] then
  return 0
end
redis.call('HSETNX', delivery, 'attempt:' .. attempt, now_ms() .. ' ' .. ARGV[5])
redis.call('HDEL', delivery, 'attempt:' .. (attempt - LOGGED))
if known[1] ~= 'waiting' then
  return 0
end
-- If another gateway took it meanwhile, only an arrival counts.
local is_latest = known[2] == attempt
if to == 'waiting' then
  if is_latest then
    schedule(name, known[3], now_ms() + tonumber(ARGV[4]))
  end
elseif is_latest or to == 'delivered' then
  if to == 'disabled' then
    redis.call('SET', gone(known[3], known[4]), 1, 'PX', DELIVERY_TTL_MS)
  end
  end_delivery(ref, name, known[3], to)
end
return 1
