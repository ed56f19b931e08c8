-- Extends leases.
-- ARGV: lease_ms, then ref and fence of each
-- Reads: job
-- Writes: leases
-- Returns 'held', 'stop' (its cancellation was asked for) or 'lost' of each.
local until_ms, answers = now_ms() + tonumber(ARGV[1]), {}
for i = 2, #ARGV, 2 do
  local ref = ARGV[i]
  if not holds(ref, ARGV[i + 1]) then
    answers[#answers + 1] = 'lost'
  else
    redis.call('ZADD', key('leases'), until_ms, ref)
    answers[#answers + 1] = field(ref, 'stop') and 'stop' or 'held'
  end
end
return answers
