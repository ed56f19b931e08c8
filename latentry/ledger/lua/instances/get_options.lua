-- Reads the options of an instance, which live on from now.
-- ARGV: tenant, key id, ms that they live
-- Writes: instance
-- Returns them as they were set, or nil.
local options = key('instance', ARGV[1], ARGV[2])
redis.call('PEXPIRE', options, ARGV[3])
return redis.call('GET', options)
