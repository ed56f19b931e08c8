-- Fails unless keys can be written and updates published.
-- ARGV: none
-- Writes: check, write_check
-- Returns 1.
redis.call('SET', key('write_check'), 1, 'PX', 1000)
redis.call('PUBLISH', channel('check'), '')
return 1
