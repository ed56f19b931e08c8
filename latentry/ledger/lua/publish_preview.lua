-- ARGV: ref, fence, index, step, JPEG in base64. Answers 1 if it was told, 0 if the lease is lost.
local ref = ARGV[1]
if not holds(ref, ARGV[2]) then
  return 0
end
redis.call('PUBLISH', key('updates'),
  string.format('{"preview":[%s,%d,%d,"%s"]}', cjson.encode(ref), ARGV[3], ARGV[4], ARGV[5]))
return 1
