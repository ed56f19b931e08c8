-- ARGV: {worker, lease_ms, ref, fence, pressing} as JSON. The worker hands an unfinished job back, which
-- counts for nothing, and has the pressing one instead. Answers {ref, fence, record} of that one, also
-- when asked again; nothing if it is gone.
local ask = cjson.decode(ARGV[1])
if holds(ask.ref, ask.fence) then
  hand_back(ask.ref)
end
local state, worker, deadline, finish_by = fields(ask.urgent, 'state', 'worker', 'deadline_ms',
  'finish_by_ms')
if state == 'queued' and math.min(deadline, finish_by or deadline) > now_ms() then
  charge(ask.urgent, tag_of(tenant_of(ask.urgent)), false)
  start_run(ask.urgent, ask.worker, ask.lease_ms)
elseif state ~= 'running' or worker ~= ask.worker then
  return {}
end
return { { ask.urgent, field(ask.urgent, 'fence'), redis.call('HGETALL', key('job', ask.urgent)) } }
