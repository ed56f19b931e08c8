-- ARGV: key id. It opens nothing from now on, and stays listed. Answers 1, or 0 if there is no such key.
local record = key('apikey', ARGV[1])
if redis.call('EXISTS', record) == 0 then
  return 0
end
redis.call('HSETNX', record, 'revoked_ms', now_ms())
return 1
