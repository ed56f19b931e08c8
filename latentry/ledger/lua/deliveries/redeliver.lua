-- Sends a delivery again, whatever became of it, with the job as it stands now. Its schedule begins
-- anew, and its URL is enabled again.
-- ARGV: ref, event
-- Reads: job
-- Writes: deliveries, delivery, gone, receivers
-- Returns 1, or 0 if there is no such delivery.
local ref, name = ARGV[1], ARGV[1] .. ':' .. ARGV[2]
local delivery = key('delivery', name)
local known = redis.call('HMGET', delivery, 'receiver', 'url', 'attempts')
if not known[1] or redis.call('EXISTS', key('job', ref)) == 0 then
  return 0
end
redis.call('DEL', gone(known[1], known[2]))
redis.call('HSET', delivery, 'first', known[3])
enter_delivery(ref, name, known[1])
return 1
