-- ARGV: ref. A waiting job ends at once; a running one is stopped by its worker at the next step.
-- Answers 1, or 0 if there is no such job.
local ref = ARGV[1]
local state = field(ref, 'state')
if not state then
  return 0
end
if state == 'queued' then
  finish(ref, 'canceled')
elseif state == 'running' then
  redis.call('HSET', key('job', ref), 'stop', 1)
  redis.call('PUBLISH', key('stop'), ref)
end
return 1
