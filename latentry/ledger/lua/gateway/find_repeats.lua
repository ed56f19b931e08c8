-- The jobs that these idempotency keys have, with the hashes of their requests' bodies.
-- ARGV: tenant, idempotency keys
-- Reads: idem, job
-- Returns for each {ref, hash}, or {} without a job.
local found = {}
for i = 2, #ARGV do
  local known = redis.call('HMGET', key('idem', ARGV[1], ARGV[i]), 'ref', 'hash')
  local exists = known[1] and redis.call('EXISTS', key('job', known[1])) == 1
  found[i - 1] = exists and known or {}
end
return found
