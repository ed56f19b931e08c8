-- ARGV: tenant, turn to start below ('+inf' for the newest), how many. Answers like get.lua.
local refs = redis.call('ZREVRANGEBYSCORE', key('jobs', ARGV[1]), ARGV[2], '-inf',
  'LIMIT', 0, ARGV[3])
local answers = {}
for i = 1, #refs do
  local record = redis.call('HGETALL', key('job', refs[i]))
  local position = -1
  if #record > 0 and field(refs[i], 'state') == 'queued' then
    position = redis.call('ZRANK', key('line', field(refs[i], 'model')), refs[i]) or -1
  end
  answers[i] = { refs[i], record, position }
end
return answers
