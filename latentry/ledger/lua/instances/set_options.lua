-- Sets the options of an instance, unless others were set since they were read.
-- ARGV: tenant, key id, ms that they live, the options, those that were read or an empty text
-- Writes: instance
-- Returns 1, or 0 if there are others now.
local options = key('instance', ARGV[1], ARGV[2])
local now = redis.call('GET', options) or ''
if now ~= ARGV[5] and now ~= ARGV[4] then -- as those to set it is where a reply was lost
  return 0
end
redis.call('SET', options, ARGV[4], 'PX', ARGV[3])
return 1
