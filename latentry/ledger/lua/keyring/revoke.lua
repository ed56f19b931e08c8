-- Revokes an API key for good; it stays listed.
-- ARGV: key id
-- Writes: apikey
-- Returns 1, or 0 if there is no such key.
local record = key('apikey', ARGV[1])
if redis.call('EXISTS', record) == 0 then
  return 0
end
redis.call('HSETNX', record, 'revoked_ms', now_ms())
return 1
