-- Lists the checkpoints of a job's unfinished images, for the worker that resumes it.
-- ARGV: ref, fence
-- Reads: checkpoint, job
-- Returns index and checkpoint of each; none if the lease is lost.
if not holds(ARGV[1], ARGV[2]) then
  return {}
end
return redis.call('HGETALL', key('checkpoint', ARGV[1]))
