-- Takes several requests of a key at once, or as many as it has left.
-- ARGV: key id, how many
-- Reads: apikey
-- Writes: rate
-- Returns {how many it took, how many are left, ms until there is another one, ms until all are
-- back}.
local record = key('apikey', ARGV[1])
local per_minute, burst = unpack(redis.call('HMGET', record, 'per_minute', 'burst'))
return { take_requests(ARGV[1], tonumber(per_minute or 0), tonumber(burst or 0), tonumber(ARGV[2])) }
