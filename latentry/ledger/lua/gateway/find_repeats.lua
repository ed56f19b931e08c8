-- Which of these idempotency keys have jobs, whatever their requests were.
-- ARGV: tenant, idempotency keys
-- Reads: idem, job
-- Returns 1 or 0 for each.
local found = {}
for i = 2, #ARGV do
  local ref = redis.call('HGET', key('idem', ARGV[1], ARGV[i]), 'ref')
  found[i - 1] = ref and redis.call('EXISTS', key('job', ref)) or 0
end
return found
