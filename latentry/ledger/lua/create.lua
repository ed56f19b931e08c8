-- ARGV: options as a JSON object, the request as JSON. Answers {'created' or 'existing', ref}; {'possible',
-- wait in ms or -1, now} where only that was asked; or a refusal: {'conflict'}, {'full', how many wait, ms
-- until one starts or -1}, {'late', wait, the most that it may be}, or what `over_limit` says.
local ask = cjson.decode(ARGV[1])
local ref, tenant, model, queue = ask.ref, ask.tenant, ask.model, key('queue', ask.model)
local idem, hash = ask.idempotency_key, ask.body_hash

if redis.call('EXISTS', key('job', ref)) == 1 then -- our own call again: its reply was lost
  return { 'created', ref }
end
if idem ~= '' then
  local held = redis.call('HMGET', key('idem', tenant, idem), 'ref', 'hash')
  if held[1] and redis.call('EXISTS', key('job', held[1])) == 1 then
    if held[2] ~= hash then
      return { 'conflict' }
    end
    return { 'existing', held[1] }
  end
end
local refusal = over_limit(tenant, ask.account)
if refusal then
  return refusal
end
-- High goes before what came up to ten minutes earlier, low after what comes up to ten minutes later:
-- so both age, and neither starves. In microseconds, so that hardly two come at once.
local EARLIER_US = { high = 600000000, normal = 0, low = -600000000 }
local at, score = now_ms(), string.format('%.0f', now_us() - EARLIER_US[ask.priority])

-- A full line is full for those who have their part of it: one tenant's crowd keeps nobody else out.
local function has_its_share()
  local sum = ask.weight - (redis.call('HGET', key('weights', model), tenant) or 0)
  for _, weight in ipairs(redis.call('HVALS', key('weights', model))) do
    sum = sum + weight
  end
  return redis.call('ZCARD', key('tenant_queue', model, tenant)) >= math.floor(ask.max_queued * ask.weight / sum)
end

local waiting = redis.call('ZCARD', queue)
local workers = served_with(model)
if waiting >= ask.max_queued and has_its_share() then
  local one = (redis.call('HGET', key('load', model), 'waiting_ms') or 0) / waiting
  return { 'full', waiting, ask.seats > 0 and workers > 0 and math.ceil(one / workers) or -1 }
end
local wait = wait_ms({ model = model, tenant = tenant, score = score, weight = ask.weight,
  seats = ask.seats, image_ms = ask.cost_ms / ask.images })
if wait and wait > ask.max_wait_ms then
  return { 'late', wait, ask.max_wait_ms }
end
if ask.dry_run then
  return { 'possible', wait or -1, at }
end

local turn, job, queue_ttl, ttl = redis.call('INCR', key('sequence')), key('job', ref), ask.queue_ttl_ms,
  ask.ttl_ms
redis.call('HSET', job, 'v', 1, 'state', 'queued', 'model', model, 'sequence', turn, 'created_ms', at,
  'deadline_ms', at + ask.wait_ttl_ms, 'queue_ttl_ms', queue_ttl, 'ttl_ms', ttl, 'fence', 0,
  'crashes', 0, 'claims', 0, 'score', score, 'priority', ask.priority, 'weight', ask.weight,
  'cost_ms', ask.cost_ms, 'step_megapixels', ask.step_megapixels, 'seats', ask.seats,
  'n', ask.images, 'request', ARGV[2])
if ask.finish_within_ms > 0 then
  redis.call('HSET', job, 'finish_by_ms', at + ask.finish_within_ms, 'takes_ms', ask.takes_ms)
end
if ask.webhook then
  redis.call('HSET', job, 'webhook', ask.webhook)
end
open_account(ref, tenant, ask.account)
redis.call('ZADD', key('jobs', tenant), turn, ref)
redis.call('ZADD', key('retention'), at + queue_ttl + ttl, ref)
if idem ~= '' then
  redis.call('HSET', key('idem', tenant, idem), 'ref', ref, 'hash', hash)
  redis.call('PEXPIRE', key('idem', tenant, idem), queue_ttl + ttl)
end
enqueue(ref)
return { 'created', ref }
