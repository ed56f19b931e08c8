-- Lists a job's deliveries.
-- ARGV: ref
-- Reads: deliveries, delivery
-- Returns {event, record of the delivery, when it is due or ''} of each.
local found = {}
for _, event in ipairs(EVENTS) do
  local name = ARGV[1] .. ':' .. event
  local record = redis.call('HGETALL', key('delivery', name))
  if #record > 0 then
    local receiver = redis.call('HGET', key('delivery', name), 'receiver')
    local due = redis.call('ZSCORE', key('deliveries', receiver), name)
    found[#found + 1] = { event, record, due or '' }
  end
end
return found
