-- ARGV: ref, tenant. Removes every trace of a job. A worker that still runs it finds its lease lost.
-- Answers 1 if there was something to forget.
local ref = ARGV[1]
local state = field(ref, 'state')
if state then
  leave_line(ref)
  redis.call('ZREM', key('leases'), ref)
  if not is_terminal(state) then
    redis.call('PUBLISH', key('stop'), ref)
  end
end
redis.call('ZREM', key('retention'), ref)
redis.call('ZREM', key('jobs', ARGV[2]), ref)
return redis.call('DEL', key('job', ref), key('events', ref)) > 0 and 1 or 0
