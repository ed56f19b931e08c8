-- Reads a file's record.
-- ARGV: ref
-- Reads: file
-- Returns it; an empty one if there is none, or it has expired, or was deleted.
if not is_usable(ARGV[1]) then
  return {}
end
return redis.call('HGETALL', key('file', ARGV[1]))
