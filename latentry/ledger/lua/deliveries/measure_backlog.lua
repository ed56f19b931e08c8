-- Measures the backlog of deliveries.
-- ARGV: none
-- Reads: deliveries
-- Returns how many wait, and the age of the oldest in ms.
local first = redis.call('ZRANGE', key('deliveries'), 0, 0, 'WITHSCORES')
return { redis.call('ZCARD', key('deliveries')), first[2] and now_ms() - first[2] or 0 }
