-- Lists a job's durable events.
-- ARGV: ref, id to start after ('' for all)
-- Reads: events
-- Returns stream entries.
local after = ARGV[2] == '' and '-' or '(' .. ARGV[2]
return redis.call('XRANGE', key('events', ARGV[1]), after, '+')
