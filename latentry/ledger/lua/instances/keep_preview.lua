-- Keeps a preview of an unfinished image for as long as somebody looks at its job.
-- ARGV: ref, fence, image index, step, JPEG in base64
-- Reads: job
-- Writes: preview
-- Returns 1 if it was kept, 0 if the lease is lost or nobody looks any more.
local preview = key('preview', ARGV[1])
if not holds(ARGV[1], ARGV[2]) or redis.call('EXISTS', preview) == 0 then
  return 0
end
redis.call('HSET', preview, 'index', ARGV[3], 'step', ARGV[4], 'jpeg', ARGV[5])
return 1
