-- Lists all API keys, the oldest first.
-- ARGV: none
-- Reads: apikey, apikeys
-- Returns the time, and {id, record} of every key.
local rows = {}
for i, id in ipairs(redis.call('ZRANGE', key('apikeys'), 0, -1)) do
  rows[i] = { id, redis.call('HGETALL', key('apikey', id)) }
end
return { now_ms(), rows }
