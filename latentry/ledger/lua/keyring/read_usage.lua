-- ARGV: tenant, then days since 1970. Answers what its keys used on each of them.
local answers = {}
for i = 2, #ARGV do
  answers[i - 1] = redis.call('HGETALL', key('usage', ARGV[1], ARGV[i]))
end
return answers
