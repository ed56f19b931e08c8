-- ARGV: tenant, turn to start below ('+inf' for the newest), how many. Answers jobs as they stand.
local refs = redis.call('ZREVRANGEBYSCORE', key('jobs', ARGV[1]), ARGV[2], '-inf',
  'LIMIT', 0, ARGV[3])
local answers = {}
for i = 1, #refs do
  answers[i] = read_job(refs[i])
end
return answers
