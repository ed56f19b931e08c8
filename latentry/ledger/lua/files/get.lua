-- Reads a file's record.
-- ARGV: ref
-- Reads: file
-- Returns it; an empty one if there is none, or it has expired.
local record = redis.call('HGETALL', key('file', ARGV[1]))
local ends = redis.call('HGET', key('file', ARGV[1]), 'expires_ms')
if not ends or tonumber(ends) <= now_ms() then
  return {}
end
return record
