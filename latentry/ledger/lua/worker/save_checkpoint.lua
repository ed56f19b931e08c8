-- Saves the checkpoint of one image of a job, in place of the one before. It lives as long as
-- the job may wait to be resumed.
-- ARGV: ref, fence, image index, bytes that all checkpoints may take, the checkpoint
-- Reads: job
-- Writes: checkpoint, checkpoints
-- Returns 'saved', 'lost' if the lease is, or 'full' if the budget is spent: the one before stays.
local ref, index, budget, blob = ARGV[1], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if not holds(ref, ARGV[2]) then
  return 'lost'
end
local sizes, own = key('checkpoints'), key('checkpoint', ref)
if redis.call('EXISTS', own) == 0 then -- never saved, or its time to live is over
  drop_checkpoints(ref)
end
local more = #blob - redis.call('HSTRLEN', own, index)
if (redis.call('HGET', sizes, 'total') or 0) + more > budget then
  return 'full'
end
redis.call('HSET', own, index, blob)
redis.call('PEXPIRE', own, field(ref, 'queue_ttl_ms'))
redis.call('HINCRBY', sizes, ref, more)
redis.call('HINCRBY', sizes, 'total', more)
return 'saved'
