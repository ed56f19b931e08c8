-- Lists the checkpoints of a job's unfinished images, for the worker that resumes it.
-- ARGV: ref, fence
-- Reads: checkpoint, job
-- Answers index and checkpoint in turn; none if the lease is lost.
if not holds(ARGV[1], ARGV[2]) then
  return {}
end
return redis.call('HGETALL', key('checkpoint', ARGV[1]))
