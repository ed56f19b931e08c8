-- Lists a tenant's files that requests may name, those that last longest first.
-- ARGV: tenant, how many to look at
-- Reads: file, files
-- Returns the ref and the record of each.
local found = {}
for _, ref in ipairs(redis.call('ZREVRANGE', key('files', ARGV[1]), 0, ARGV[2] - 1)) do
  if is_usable(ref) then
    table.insert(found, { ref, redis.call('HGETALL', key('file', ref)) })
  end
end
return found
