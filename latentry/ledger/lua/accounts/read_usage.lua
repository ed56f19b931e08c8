-- Reads what a tenant's keys used.
-- ARGV: tenant, then days since 1970
-- Reads: usage
-- Returns the usage of each day.
local answers = {}
for i = 2, #ARGV do
  answers[i - 1] = redis.call('HGETALL', key('usage', ARGV[1], ARGV[i]))
end
return answers
