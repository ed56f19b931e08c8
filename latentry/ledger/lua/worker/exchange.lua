-- Hands an unfinished job back, uncharged, and claims an urgent one in its place.
-- ARGV: {worker, lease_ms, ref, fence, urgent} as JSON
-- Reads: file, gone
-- Writes: active, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events, fileends,
--   job, leases, load, named_queue, pins, quarantined, queue, receivers, retention, suspects, tags,
--   tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags, user_time, users,
--   virtual_time, waiting_cost, wake, weights
-- Returns {ref, fence, record} of the urgent one, also when repeated; nothing if it waits no longer.
local ask = cjson.decode(ARGV[1])
if holds(ask.ref, ask.fence) then
  hand_back(ask.ref)
end
local state, worker, deadline, finish_by = fields(ask.urgent, 'state', 'worker', 'deadline_ms',
  'finish_by_ms')
if state == 'queued' and math.min(deadline, finish_by or deadline) > now_ms() then
  charge(ask.urgent, tag_of(tenant_of(ask.urgent)), false)
  begin_run(ask.urgent, ask.worker, ask.lease_ms)
elseif state ~= 'running' or worker ~= ask.worker then
  return {}
end
return { { ask.urgent, field(ask.urgent, 'fence'), redis.call('HGETALL', key('job', ask.urgent)) } }
