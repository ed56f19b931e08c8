-- ARGV: model, ttl_ms. Answers 1 if no bell was on its way: the caller sends one now.
return redis.call('SET', key('bell', ARGV[1]), 1, 'NX', 'PX', ARGV[2]) and 1 or 0
