-- Takes the right to send a model's bell, a Celery message that wakes its workers.
-- ARGV: model, ttl_ms
-- Writes: bell
-- Returns 1 if the caller is to send it now, 0 if one is on its way.
return redis.call('SET', key('bell', ARGV[1]), 1, 'NX', 'PX', ARGV[2]) and 1 or 0
