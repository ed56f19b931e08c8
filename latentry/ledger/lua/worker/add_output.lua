-- Lists an output of a job, whose bytes are in storage by now.
-- ARGV: ref, fence, label of the output (`kind:index:name`), the output as JSON
-- Writes: events, job, updates, usage
-- Returns 1 if it is listed now, 0 if the lease is lost.
local ref = ARGV[1]
if redis.call('HGET', key('job', ref), 'output:' .. ARGV[3]) == ARGV[4] then
  return 1 -- the same call again: its reply was lost, and by now perhaps the lease
end
if not holds(ref, ARGV[2]) then
  return 0
end
list_output(ref, ARGV[3], ARGV[4])
return 1
