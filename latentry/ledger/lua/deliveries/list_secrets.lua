-- Lists the secrets that sign a tenant's deliveries.
-- ARGV: tenant, a secret for a tenant that has none
-- Writes: secrets
-- Returns them, the newest first.
local secrets = key('secrets', ARGV[1])
redis.call('ZREMRANGEBYSCORE', secrets, '-inf', now_ms())
if redis.call('EXISTS', secrets) == 0 then
  redis.call('ZADD', secrets, '+inf', ARGV[2])
end
return redis.call('ZREVRANGE', secrets, 0, -1)
