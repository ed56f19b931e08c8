-- Lists the catalogue with each model's workers and queue, and the adapters of all workers.
-- ARGV: digests of lists of adapters that the caller has
-- Reads: adapter_list, adapters, held, job, listed, models, queue, worker, workers
-- Returns {card JSON, live workers, waiting jobs, age of the oldest in ms, digest of its workers' list of
-- adapters or '', whether they have different ones} of each model; {digest, JSON} of each list that the
-- caller lacks; and {SHA-256, how many workers have it in memory} of each such adapter.
local now, live, held, has, differ = now_ms(), {}, {}, {}, {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), now, '+inf')) do
  local listed = redis.call('GET', key('listed', worker))
  for model in string.gmatch(redis.call('GET', key('worker', worker)) or '', '%S+') do
    live[model] = (live[model] or 0) + 1
    differ[model] = differ[model] or (has[model] and listed and has[model] ~= listed)
    has[model] = has[model] or listed
  end
  for _, sha256 in ipairs(redis.call('SMEMBERS', key('held', worker))) do
    held[sha256] = (held[sha256] or 0) + 1
  end
end
local known, lists, counts = {}, {}, {}
for _, digest in ipairs(ARGV) do
  known[digest] = true
end
local cards, answers = redis.call('HGETALL', key('models')), {}
for i = 1, #cards, 2 do
  local queue, age = key('queue', cards[i]), 0
  local head = redis.call('ZRANGE', queue, 0, 0)[1]
  local created = head and field(head, 'created_ms')
  if created then
    age = now - created
  end
  local digest = redis.call('HGET', key('adapters'), cards[i]) or ''
  if digest ~= '' and not known[digest] then
    known[digest] = true
    lists[#lists + 1] = { digest, redis.call('GET', key('adapter_list', digest)) or '[]' }
  end
  local differs = differ[cards[i]] and 1 or 0
  answers[#answers + 1] =
    { cards[i + 1], live[cards[i]] or 0, redis.call('ZCARD', queue), age, digest, differs }
end
for sha256, count in pairs(held) do
  counts[#counts + 1] = { sha256, count }
end
return { answers, lists, counts }
