-- Takes files that have expired, for one gateway; should it fail, for another in a minute.
-- ARGV: how many at most
-- Writes: fileends
-- Returns their refs.
local now = now_ms()
local refs = redis.call('ZRANGEBYSCORE', key('fileends'), '-inf', now, 'LIMIT', 0, ARGV[1])
for _, ref in ipairs(refs) do
  redis.call('ZADD', key('fileends'), now + 60000, ref)
end
return refs
