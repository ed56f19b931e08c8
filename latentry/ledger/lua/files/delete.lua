-- Deletes a file: no request can name it any more. It is due for removal, now or when the last job that
-- pins it has ended; until then it counts against its tenant's quota.
-- ARGV: ref
-- Reads: job
-- Writes: file, fileends, pins
-- Returns 1 if it may be removed now.
local ref = ARGV[1]
if redis.call('EXISTS', key('file', ref)) == 0 then
  return 0
end
redis.call('HSET', key('file', ref), 'deleted', 1)
redis.call('ZADD', key('fileends'), now_ms(), ref)
return is_pinned(ref) and 0 or 1
