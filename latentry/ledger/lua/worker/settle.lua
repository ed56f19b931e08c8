-- Ends a job for its worker. Its only picture is listed here; several were listed before, but a ledger
-- that was killed may have lost its last writes.
-- ARGV: ref, fence, terminal state, error code, message, warnings as JSON or '', then label and JSON of
-- each of its outputs
-- Reads: file, gone
-- Writes: active, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events, fileends,
--   job, leases, load, named_queue, pins, quarantined, queue, receivers, retention, stop, suspects,
--   tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags, user_time, users,
--   waiting_cost, weights
-- Returns 1 if it has ended so, also when repeated; 0 if the lease is lost.
local ref, fence, to = ARGV[1], ARGV[2], ARGV[3]
local state, held, finish_by = fields(ref, 'state', 'fence', 'finish_by_ms')
if state == to and held == fence then
  return 1
end
if state ~= 'running' or held ~= fence then
  return 0
end
if finish_by and now_ms() >= tonumber(finish_by) then -- no sweep has seen it yet
  expire(ref)
  return 0
end
if ARGV[6] and ARGV[6] ~= '' then
  redis.call('HSET', key('job', ref), 'warnings', ARGV[6])
end
for i = 7, #ARGV, 2 do
  list_output(ref, ARGV[i], ARGV[i + 1])
end
finish(ref, to, ARGV[4], ARGV[5])
return 1
