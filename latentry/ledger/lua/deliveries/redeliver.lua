-- ARGV: ref, event. Sends it again, whatever became of it, with the job as it stands now; its
-- schedule begins anew, and its receiver is gone no more. Answers 0 if there is no such delivery.
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
