-- Makes a tenant's deliveries be signed with a new secret, and for a while with the older ones too.
-- ARGV: tenant, new secret, ms for which the older ones go on signing
-- Writes: secrets
-- Returns how many sign now.
local secrets, until_ms = key('secrets', ARGV[1]), now_ms() + tonumber(ARGV[3])
for _, secret in ipairs(redis.call('ZRANGEBYSCORE', secrets, until_ms, '+inf')) do
  redis.call('ZADD', secrets, until_ms, secret)
end
redis.call('ZADD', secrets, '+inf', ARGV[2])
redis.call('ZREMRANGEBYSCORE', secrets, '-inf', now_ms())
return redis.call('ZCARD', secrets)
