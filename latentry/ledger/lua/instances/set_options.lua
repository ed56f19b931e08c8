-- Sets the options of an instance.
-- ARGV: tenant, key id, ms that they live, the options
-- Writes: instance
-- Returns 1.
redis.call('SET', key('instance', ARGV[1], ARGV[2]), ARGV[4], 'PX', ARGV[3])
return 1
