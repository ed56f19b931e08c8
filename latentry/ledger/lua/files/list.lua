-- Lists a tenant's files that requests may name, those that expire last first.
-- ARGV: tenant, how many at most, and where the page before ended: ms at which its last file expires, and
-- that file's ref; +inf and nothing of the first page
-- Reads: file, files
-- Returns refs and records in turn.
local all, limit, from, after = key('files', ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local found, offset, some = {}, 0, nil
repeat
  some = redis.call('ZREVRANGEBYSCORE', all, from, '-inf', 'WITHSCORES', 'LIMIT', offset, 100)
  offset = offset + 100
  for at = 1, #some, 2 do
    local ref = some[at]
    local was_before = after ~= '' and tonumber(some[at + 1]) == tonumber(from) and ref >= after
    if #found < 2 * limit and not was_before and is_usable(ref) then
      found[#found + 1] = ref
      found[#found + 1] = redis.call('HGETALL', key('file', ref))
    end
  end
until #found == 2 * limit or #some < 200
return found
