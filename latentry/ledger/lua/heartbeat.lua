-- ARGV: worker, ttl_ms, models by spaces. Without models the worker is leaving.
local worker, ttl = ARGV[1], tonumber(ARGV[2])
if ARGV[3] == '' then
  redis.call('ZREM', key('workers'), worker)
  return redis.call('DEL', key('worker', worker))
end
redis.call('ZADD', key('workers'), now_ms() + ttl, worker)
redis.call('SET', key('worker', worker), ARGV[3], 'PX', ttl)
return 1
