-- ARGV: none. Fails unless the ledger can be written.
redis.call('SET', key('write_check'), 1, 'PX', 1000)
return 1
