-- Enters an API key.
-- ARGV: key id, digest of its secret, life in ms or 0 for ever, then the record's fields and values
-- Writes: apikey, apikeys
-- Returns 1 if this secret opens this key, now or before; 0 if the id is another secret's.
local record, now = key('apikey', ARGV[1]), now_ms()
local known = redis.call('HGET', record, 'digest')
if known then
  return known == ARGV[2] and 1 or 0
end
redis.call('HSET', record, 'digest', ARGV[2], 'created_ms', now, unpack(ARGV, 4))
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', record, 'expires_ms', now + ARGV[3])
end
redis.call('ZADD', key('apikeys'), now, ARGV[1])
return 1
