-- Gives an API key a new secret; the old one still opens it for a while.
-- ARGV: key id, digest of the new secret, ms for which the old one still opens it
-- Writes: apikey
-- Returns the record as it is now; an empty one if there is no such key, or it is revoked.
local record = key('apikey', ARGV[1])
local known = redis.call('HMGET', record, 'digest', 'revoked_ms')
if not known[1] or known[2] then
  return {}
end
if known[1] ~= ARGV[2] then
  redis.call('HSET', record, 'digest', ARGV[2], 'old_digest', known[1],
    'old_until_ms', now_ms() + ARGV[3])
end
return redis.call('HGETALL', record)
