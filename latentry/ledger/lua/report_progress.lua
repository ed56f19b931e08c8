-- ARGV: ref, fence, step, steps in turn. One message tells all of them. Answers how many counted.
local news = {}
for i = 1, #ARGV, 4 do
  local ref, step, steps = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  if holds(ref, ARGV[i + 1]) then
    redis.call('HSET', key('job', ref), 'step', step, 'steps', steps)
    if tonumber(step) > tonumber(field(ref, 'reached') or 0) then -- further than its last worker came
      redis.call('HSET', key('job', ref), 'crashes', 0)
    end
    news[#news + 1] = string.format('[%s,%d,%d]', cjson.encode(ref), step, steps)
  end
end
if #news > 0 then
  redis.call('PUBLISH', key('updates'), '{"steps":[' .. table.concat(news, ',') .. ']}')
end
return #news
