-- Hands an unfinished job back to its place in the queue, uncharged.
-- ARGV: ref, fence
-- Reads: file, gone, virtual_time
-- Writes: active, checkpoint, checkpoints, deadlines, deliveries, delivery, ends, events, fileends,
--   job, leases, load, named_queue, pins, quarantined, queue, receivers, retention, suspects, tags,
--   tenant_queue, tenants, updates, usage, user_cost, user_queue, user_tags, user_time, users,
--   waiting_cost, wake, weights
-- Returns 1, or 0 if the lease was lost already.
local ref = ARGV[1]
if not holds(ref, ARGV[2]) then
  return 0
end
hand_back(ref)
return 1
