-- Takes ended jobs off the list, so that each is counted by one gateway.
-- ARGV: taker, token, how many at most, ms for which the answer is kept
-- Writes: ends, taken_ends
-- Returns the ends as JSON, the oldest first; repeated with the same token, the same ones.
local taken, token = key('taken_ends', ARGV[1]), ARGV[2]
local last = redis.call('LRANGE', taken, 0, -1)
if table.remove(last, 1) == token then
  return last
end
local ends = redis.call('LPOP', key('ends'), ARGV[3])
if not ends then
  return {}
end
redis.call('DEL', taken)
redis.call('RPUSH', taken, token, unpack(ends))
redis.call('PEXPIRE', taken, ARGV[4])
return ends
