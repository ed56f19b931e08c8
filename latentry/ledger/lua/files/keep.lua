-- Enters a file within its tenant's quota.
-- ARGV: ref, tenant, bytes, ttl_ms, files and bytes the tenant may keep, sha256, width, height,
-- SHA-256 of its pixels, the state of its own manifest
-- Writes: file, filebytes, fileends, files
-- Returns {'kept', record}, or {'full', ms until the tenant's next file expires}.
local ref, tenant, size = ARGV[1], ARGV[2], tonumber(ARGV[3])
local file, all, now = key('file', ref), key('files', tenant), now_ms()
if redis.call('EXISTS', file) == 0 then -- else the same call again: its reply was lost
  local count = redis.call('ZCARD', all)
  local held = tonumber(redis.call('GET', key('filebytes', tenant)) or 0)
  if count >= tonumber(ARGV[5]) or held + size > tonumber(ARGV[6]) then
    local first = redis.call('ZRANGE', all, 0, 0, 'WITHSCORES')
    return { 'full', first[2] and math.max(0, tonumber(first[2]) - now) or 0 }
  end
  local ends = now + tonumber(ARGV[4])
  redis.call('HSET', file, 'bytes', size, 'created_ms', now, 'expires_ms', ends, 'sha256', ARGV[7],
    'width', ARGV[8], 'height', ARGV[9], 'pixel_sha256', ARGV[10], 'c2pa', ARGV[11])
  redis.call('ZADD', all, ends, ref)
  redis.call('ZADD', key('fileends'), ends, ref)
  redis.call('INCRBY', key('filebytes', tenant), size)
end
return { 'kept', redis.call('HGETALL', file) }
