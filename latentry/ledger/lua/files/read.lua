-- ARGV: ref. Answers the file's record; an empty one if there is none, or it has had its time.
local record = redis.call('HGETALL', key('file', ARGV[1]))
local ends = redis.call('HGET', key('file', ARGV[1]), 'expires_ms')
if not ends or tonumber(ends) <= now_ms() then
  return {}
end
return record
