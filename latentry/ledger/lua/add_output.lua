-- ARGV: ref, fence, index, image JSON. Answers 1 if the picture is listed now, 0 if the lease is lost.
local ref = ARGV[1]
if redis.call('HGET', key('job', ref), 'output:' .. ARGV[3]) == ARGV[4] then
  return 1 -- our own call again: its reply was lost, and by now perhaps the lease
end
if not holds(ref, ARGV[2]) then
  return 0
end
list_output(ref, ARGV[3], ARGV[4])
return 1
