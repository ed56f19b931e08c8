-- Removes every trace of a file.
-- ARGV: ref, tenant
-- Writes: file, filebytes, fileends, files
-- Returns 1 if there was one.
local ref, tenant = ARGV[1], ARGV[2]
local size = redis.call('HGET', key('file', ref), 'bytes')
redis.call('ZREM', key('files', tenant), ref)
redis.call('ZREM', key('fileends'), ref)
if not size then
  return 0
end
redis.call('DEL', key('file', ref))
if redis.call('DECRBY', key('filebytes', tenant), size) <= 0 then
  redis.call('DEL', key('filebytes', tenant))
end
return 1
