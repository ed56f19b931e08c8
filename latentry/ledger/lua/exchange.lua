-- ARGV: {worker, lease_ms, ref, fence, pressing} as JSON. The worker hands an unfinished job back, which
-- counts for nothing, and has the pressing one instead. Answers {ref, fence, record} of that one, also
-- when asked again; nothing if it is gone.
local ask = cjson.decode(ARGV[1])
if holds(ask.ref, ask.fence) then
  hand_back(ask.ref)
end
local state, worker, deadline, finish_by = fields(ask.pressing, 'state', 'worker', 'deadline_ms',
  'finish_by_ms')
if state == 'queued' and math.min(deadline, finish_by or deadline) > now_ms() then
  charge(ask.pressing, tag_of(tenant_of(ask.pressing)), false)
  begin(ask.pressing, ask.worker, ask.lease_ms)
elseif state ~= 'running' or worker ~= ask.worker then
  return {}
end
return { { ask.pressing, field(ask.pressing, 'fence'), redis.call('HGETALL', key('job', ask.pressing)) } }
