-- ARGV: options as a JSON object, the request as JSON. Answers {created or existing, ref, position}, or a
-- refusal.
local ask = cjson.decode(ARGV[1])
local ref, tenant, model = ask.ref, ask.tenant, ask.model
local queue_ttl, ttl = ask.queue_ttl_ms, ask.ttl_ms
local idem, hash = ask.idempotency_key, ask.body_hash
local line = key('line', model)

if redis.call('EXISTS', key('job', ref)) == 1 then -- our own call again: its reply was lost
  return { 'created', ref, redis.call('ZRANK', line, ref) or 0 }
end
if idem ~= '' then
  local held = redis.call('HMGET', key('idem', tenant, idem), 'ref', 'hash')
  if held[1] and redis.call('EXISTS', key('job', held[1])) == 1 then
    if held[2] ~= hash then
      return { 'conflict' }
    end
    return { 'existing', held[1], redis.call('ZRANK', line, held[1]) or 0 }
  end
end
local refusal = over_limit(tenant, ask.account)
if refusal then
  return refusal
end
local waiting = redis.call('ZCARD', line)
if waiting >= ask.max_queued then
  return { 'full', waiting }
end

local at, turn = now_ms(), redis.call('INCR', key('turn'))
local job = key('job', ref)
redis.call('HSET', job, 'v', 1, 'state', 'queued', 'model', model, 'turn', turn, 'created_ms', at,
  'deadline_ms', at + queue_ttl, 'queue_ttl_ms', queue_ttl, 'ttl_ms', ttl, 'fence', 0, 'crashes', 0,
  'request', ARGV[2])
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
return { 'created', ref, enter_line(ref) }
