-- ARGV: how many at most. Answers refs of files that have had their time, to one sweeper each; should
-- that one fail, to another in a minute.
local at = now_ms()
local refs = redis.call('ZRANGEBYSCORE', key('fileends'), '-inf', at, 'LIMIT', 0, ARGV[1])
for _, ref in ipairs(refs) do
  redis.call('ZADD', key('fileends'), at + 60000, ref)
end
return refs
