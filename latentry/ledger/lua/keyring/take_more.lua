-- Takes several requests of a key at once, or as many as it has left but not fewer than the least; the very
-- same call takes them once.
-- ARGV: key id, how many, token, the least
-- Reads: apikey
-- Writes: rate, taken
-- Returns {how many it took, how many are left, ms until there are the least, ms until all are back}.
local taken = key('taken', ARGV[3])
local known = redis.call('GET', taken)
if known then -- its reply was lost
  return cjson.decode(known)
end
local record = key('apikey', ARGV[1])
local per_minute, burst = unpack(redis.call('HMGET', record, 'per_minute', 'burst'))
local answer = { take_requests(ARGV[1], tonumber(per_minute or 0), tonumber(burst or 0),
  tonumber(ARGV[2]), tonumber(ARGV[4])) }
redis.call('SET', taken, cjson.encode(answer), 'PX', 60000)
return answer
