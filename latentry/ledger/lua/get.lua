-- ARGV: ref. Answers the job as it stands.
return as_it_stands(ARGV[1])
