-- Notes that a worker is alive and what it serves, or that it leaves.
-- ARGV: worker, ttl_ms, models by spaces, without which the worker is leaving, or not there yet, the digest
-- of the adapters that it has, and the models by spaces that it has too, and that are not loaded for now
-- Writes: listed, servers, worker, workers
-- Returns 1, or whether a worker that leaves was known.
local worker, ttl = ARGV[1], tonumber(ARGV[2])
-- A worker that dies or leaves may start again, which takes it so long at most; then it has them as before.
local RESTART_MS = 300000
for model in string.gmatch(ARGV[3] .. ' ' .. ARGV[5], '%S+') do
  local servers, now = key('servers', model), now_ms()
  redis.call('ZREMRANGEBYSCORE', servers, '-inf', now)
  redis.call('ZADD', servers, now + RESTART_MS, worker)
  redis.call('PEXPIRE', servers, RESTART_MS)
end
if ARGV[3] == '' then
  redis.call('ZREM', key('workers'), worker)
  redis.call('DEL', key('listed', worker))
  return redis.call('DEL', key('worker', worker))
end
redis.call('ZADD', key('workers'), now_ms() + ttl, worker)
redis.call('SET', key('worker', worker), ARGV[3], 'PX', ttl)
redis.call('SET', key('listed', worker), ARGV[4], 'PX', ttl)
return 1
