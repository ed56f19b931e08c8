-- ARGV: refs. Answers {record, position or -1} each; an empty record where there is no such job.
local answers = {}
for i = 1, #ARGV do
  local record = redis.call('HGETALL', key('job', ARGV[i]))
  local position = -1
  if #record > 0 and field(ARGV[i], 'state') == 'queued' then
    position = redis.call('ZRANK', key('line', field(ARGV[i], 'model')), ARGV[i]) or -1
  end
  answers[i] = { ARGV[i], record, position }
end
return answers
