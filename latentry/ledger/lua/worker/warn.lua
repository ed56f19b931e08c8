-- Notes a job's warnings.
-- ARGV: ref, fence, warnings as JSON
-- Writes: job
-- Returns 1, or 0 if the lease is lost.
if not holds(ARGV[1], ARGV[2]) then
  return 0
end
redis.call('HSET', key('job', ARGV[1]), 'warnings', ARGV[3])
return 1
