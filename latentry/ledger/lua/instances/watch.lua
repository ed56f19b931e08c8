-- Has the worker of a running job show it for a moment, and reads what it has shown last.
-- ARGV: ref, ms that this lasts, after every how many steps there may be a picture
-- Writes: job, preview
-- Returns {image index, step, JPEG in base64}, or nothing: there is none so far, or it does not run.
local ref, preview = ARGV[1], key('preview', ARGV[1])
if field(ref, 'state') ~= 'running' then
  return {}
end
redis.call('HSET', key('job', ref), 'watched', 1) -- so that reports of others need not look further
redis.call('HSET', preview, 'every', ARGV[3])
redis.call('PEXPIRE', preview, ARGV[2])
local index, step, jpeg = unpack(redis.call('HMGET', preview, 'index', 'step', 'jpeg'))
return jpeg and { index, step, jpeg } or {}
