-- Publishes a preview of an unfinished image. Nothing of it is stored.
-- ARGV: ref, fence, image index, step, JPEG in base64
-- Reads: job
-- Writes: updates
-- Returns 1 if it was published, 0 if the lease is lost.
local ref = ARGV[1]
if not holds(ref, ARGV[2]) then
  return 0
end
redis.call('PUBLISH', channel('updates'),
  string.format('{"preview":[%s,%d,%d,"%s"]}', cjson.encode(ref), ARGV[3], ARGV[4], ARGV[5]))
return 1
