-- Lists the catalogue with each model's workers and queue.
-- ARGV: none
-- Reads: job, models, queue, worker, workers
-- Returns {card JSON, live workers, waiting jobs, age of the oldest in ms} of each model.
local now, live = now_ms(), {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), now, '+inf')) do
  for model in string.gmatch(redis.call('GET', key('worker', worker)) or '', '%S+') do
    live[model] = (live[model] or 0) + 1
  end
end
local cards, answers = redis.call('HGETALL', key('models')), {}
for i = 1, #cards, 2 do
  local queue, age = key('queue', cards[i]), 0
  local head = redis.call('ZRANGE', queue, 0, 0)[1]
  local created = head and field(head, 'created_ms')
  if created then
    age = now - created
  end
  answers[#answers + 1] = { cards[i + 1], live[cards[i]] or 0, redis.call('ZCARD', queue), age }
end
return answers
