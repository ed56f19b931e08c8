-- Notes which adapters a worker has in memory.
-- ARGV: worker, ttl_ms, their SHA-256 by spaces
-- Writes: held
-- Returns how many.
local held, count = key('held', ARGV[1]), 0
redis.call('DEL', held)
for sha256 in string.gmatch(ARGV[3], '%S+') do
  redis.call('SADD', held, sha256)
  count = count + 1
end
redis.call('PEXPIRE', held, ARGV[2])
return count
