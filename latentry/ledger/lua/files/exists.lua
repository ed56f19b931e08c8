-- Whether a file's bytes are to stay in storage.
-- ARGV: ref
-- Reads: file
-- Returns 1, or 0 if there is no record.
return redis.call('EXISTS', key('file', ARGV[1]))
