-- ARGV: ref. Answers the job as it stands.
return read_job(ARGV[1])
