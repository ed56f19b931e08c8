-- Fails unless the ledger can be written.
-- ARGV: none
-- Writes: write_check
-- Returns 1.
redis.call('SET', key('write_check'), 1, 'PX', 1000)
return 1
