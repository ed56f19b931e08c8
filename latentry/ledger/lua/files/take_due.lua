-- Takes files that have expired or were deleted, for one gateway; should it fail, for another in a minute.
-- Those that jobs pin are looked at again when the last of these has ended.
-- ARGV: how many at most
-- Reads: job
-- Writes: fileends, pins
-- Returns their refs.
local now, refs = now_ms(), {}
local due = redis.call('ZRANGEBYSCORE', key('fileends'), '-inf', now, 'LIMIT', 0, ARGV[1])
for _, ref in ipairs(due) do
  redis.call('ZADD', key('fileends'), now + 60000, ref)
  if not is_pinned(ref) then
    refs[#refs + 1] = ref
  end
end
return refs
