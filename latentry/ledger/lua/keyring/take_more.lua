-- Takes several requests of a key at once, or as many as it has left.
-- ARGV: key id, how many
-- Reads: apikey
-- Writes: rate
-- Returns {how many it took, how many are left, ms until there is another one}.
local record = key('apikey', ARGV[1])
local per_minute, burst = unpack(redis.call('HMGET', record, 'per_minute', 'burst'))
local taken, left, wait = take_requests(ARGV[1], tonumber(per_minute or 0), tonumber(burst or 0),
  tonumber(ARGV[2]))
return { taken, left, wait }
