-- ARGV: ref, fence. Answers index and checkpoint in turn of its unfinished images; none of a lost
-- lease.
if not holds(ARGV[1], ARGV[2]) then
  return {}
end
return redis.call('HGETALL', key('checkpoint', ARGV[1]))
