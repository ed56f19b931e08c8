-- ARGV: ref, fence, index, image JSON. Answers 1 if the picture is listed now, 0 if the lease is lost.
local ref = ARGV[1]
if not holds(ref, ARGV[2]) then
  return 0
end
if redis.call('HSETNX', key('job', ref), 'image:' .. ARGV[3], ARGV[4]) == 1 then
  redis.call('HSET', key('job', ref), 'crashes', 0) -- it came further than its last worker
  tell(ref, 'image', ARGV[4])
end
return 1
