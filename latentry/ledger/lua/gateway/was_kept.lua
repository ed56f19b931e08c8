-- Whether there was a job until its time was over; its results were kept for as long as it is remembered.
-- ARGV: ref
-- Reads: forgotten
-- Returns 1 or 0.
return redis.call('EXISTS', key('forgotten', ARGV[1]))
