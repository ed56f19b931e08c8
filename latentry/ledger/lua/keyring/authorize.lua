-- Takes one of a key's requests, unless it has none left, and notes to the minute when it was used.
-- ARGV: key id, digest of the secret that came with it
-- Reads: apikeys
-- Writes: apikey, rate
-- Returns {1 if any key was ever made}, and for an active key {.., digests that open it, record,
-- requests left or -1 if this one was too many, ms until there is one, ms until all are back}.
local id, digest = ARGV[1], ARGV[2]
local all = redis.call('EXISTS', key('apikeys'))
local record, now = key('apikey', id), now_ms()
local row = redis.call('HMGET', record, 'digest', 'old_digest', 'old_until_ms', 'expires_ms',
  'revoked_ms', 'per_minute', 'burst', 'used_ms')
if not row[1] or row[5] or (row[4] and tonumber(row[4]) <= now) then
  return { all }
end
local opens = { row[1] }
if row[2] and tonumber(row[3]) > now then
  opens[2] = row[2]
end
-- The caller decides, comparing in constant time; this only keeps wrong secrets from using up requests.
if digest ~= opens[1] and digest ~= opens[2] then
  return { all, opens, {}, 0, 0, 0 }
end
if now - (row[8] or 0) >= 60000 then
  redis.call('HSET', record, 'used_ms', now)
end

local taken, left, wait, full = take_requests(id, tonumber(row[6]), tonumber(row[7]), 1, 1)
if taken == 0 then
  left = -1
else
  wait = 0
end
return { all, opens, redis.call('HGETALL', record), left, wait, full }
