-- Creates a job and enters it into its model's queue, unless it cannot be taken; a dry run only says
-- whether it could be.
-- ARGV: options as JSON (see `commands.create`), the request as JSON
-- Reads: file, tags, virtual_time, worker, workers
-- Writes: active, deadlines, events, idem, job, jobs, load, named_queue, pins, quarantined, queue,
--   retention, sequence, suspects, tenant_queue, tenants, updates, usage, user_cost, user_queue,
--   user_tags, user_time, users, waiting_cost, wake, weights
-- Returns {'created', ref, sequence number, now, place in its user's queue, wait in ms or -1}, without
-- the last four if it had been created by this very call before; {'existing', ref} of an idempotency
-- key; of a dry run {'possible', wait in ms or -1, now}; or a refusal: {'conflict'}, {'file_gone', ref},
-- {'full', how many wait, ms until one starts or -1}, {'late', wait, the most that it may be}, or what
-- `over_limit` says.
local ask = cjson.decode(ARGV[1])
local ref, tenant, model, queue = ask.ref, ask.tenant, ask.model, key('queue', ask.model)
local idem, hash = ask.idempotency_key, ask.body_hash

if redis.call('EXISTS', key('job', ref)) == 1 then -- the same call again: its reply was lost
  return { 'created', ref }
end
if idem ~= '' then
  local known = redis.call('HMGET', key('idem', tenant, idem), 'ref', 'hash')
  if known[1] and redis.call('EXISTS', key('job', known[1])) == 1 then
    if known[2] ~= hash then
      return { 'conflict' }
    end
    return { 'existing', known[1] }
  end
end
for _, file in ipairs(ask.files) do
  if not is_usable(file) then
    return { 'file_gone', file }
  end
end
local refusal = over_limit(tenant, ask.account)
if refusal then
  return refusal
end
-- High priority is ten minutes' head start, low priority ten minutes' delay: so both age, and neither
-- starves. Scores are in microseconds, so that hardly two jobs have the same.
local HEAD_START_US = { high = 600000000, normal = 0, low = -600000000 }
local now, score = now_ms(), string.format('%.0f', now_us() - HEAD_START_US[ask.priority])

-- A full queue is full for those who have their share of it: one tenant's many jobs
-- keep no other tenant out.
local function has_its_share()
  local sum = ask.weight - (redis.call('HGET', key('weights', model), tenant) or 0)
  for _, weight in ipairs(redis.call('HVALS', key('weights', model))) do
    sum = sum + weight
  end
  return count_own(model, tenant) >= math.floor(ask.max_queued * ask.weight / sum)
end

local waiting = redis.call('ZCARD', queue)
local workers = served_with(model)
if waiting >= ask.max_queued and has_its_share() then
  local one = (redis.call('HGET', key('load', model), 'waiting_ms') or 0) / waiting
  return { 'full', waiting, ask.seats > 0 and workers > 0 and math.ceil(one / workers) or -1 }
end
local wait = wait_ms({ model = model, tenant = tenant, user = ask.user or NOBODY, score = score,
  weight = ask.weight, seats = ask.seats, image_ms = ask.cost_ms / ask.images })
if wait and wait > ask.max_wait_ms then
  return { 'late', wait, ask.max_wait_ms }
end
if ask.dry_run then
  return { 'possible', wait or -1, now }
end

local job, sequence = key('job', ref), redis.call('INCR', key('sequence'))
local queue_ttl, ttl = ask.queue_ttl_ms, ask.ttl_ms
redis.call('HSET', job, 'v', 1, 'state', 'queued', 'model', model, 'sequence', sequence,
  'created_ms', now, 'deadline_ms', now + ask.wait_ttl_ms, 'queue_ttl_ms', queue_ttl, 'ttl_ms', ttl,
  'fence', 0, 'crashes', 0, 'claims', 0, 'score', score, 'priority', ask.priority,
  'weight', ask.weight, 'cost_ms', ask.cost_ms, 'step_megapixels', ask.step_megapixels,
  'seats', ask.seats, 'n', ask.images, 'kind', ask.kind, 'request', ARGV[2])
for name, value in pairs(ask.labels) do -- beside the request, which searches never decode
  redis.call('HSET', job, 'label:' .. name, value)
end
if ask.finish_within_ms > 0 then
  redis.call('HSET', job, 'finish_by_ms', now + ask.finish_within_ms, 'takes_ms', ask.takes_ms)
end
if ask.adapters ~= '' then
  redis.call('HSET', job, 'adapters', ask.adapters)
end
for _, name in ipairs({ 'user', 'webhook', 'warnings', 'image_rules' }) do
  if ask[name] then
    redis.call('HSET', job, name, ask[name])
  end
end
pin_files(ref, ask.files)
open_account(ref, tenant, ask.account)
count_rules(tenant, ask.account.payer, ask.account.usage_ttl_ms, ask.applied or {})
redis.call('ZADD', key('jobs', tenant), sequence, ref)
redis.call('ZADD', key('retention'), now + queue_ttl + ttl, ref)
if idem ~= '' then
  redis.call('HSET', key('idem', tenant, idem), 'ref', ref, 'hash', hash)
  redis.call('PEXPIRE', key('idem', tenant, idem), queue_ttl + ttl)
end
return { 'created', ref, sequence, now, enqueue(ref), wait or -1 }
