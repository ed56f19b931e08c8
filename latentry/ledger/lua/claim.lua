-- ARGV: {worker, token, models, room, held, suspects, lease_ms} as JSON. Answers {ref, fence, record}
-- each: suspects first, then whose turn it is, and no more than this worker's share of what waits, so
-- that one does not hoard while another idles. Asked again with its token, it answers the same claims.
local ask = cjson.decode(ARGV[1])
local at, claims = now_ms(), {}
local claimed = key('claimed', ask.worker)

local function add(ref)
  claims[#claims + 1] = { ref, field(ref, 'fence'), redis.call('HGETALL', key('job', ref)) }
end

local function take(ref)
  start_run(ref, ask.worker, ask.lease_ms)
  add(ref)
end

-- Whether this job can be run at all; if not, it is out of its line now.
local function is_fit(ref, model)
  local deadline, finish_by = fields(ref, 'deadline_ms', 'finish_by_ms')
  if not deadline then
    purge(ref, model)
  elseif math.min(deadline, finish_by or deadline) <= at then
    expire(ref)
  else
    return true
  end
end

-- Who waits longest in the lines of suspects or loners, if since before then.
local function first_of(lines, before)
  local first
  for _, model in ipairs(ask.models) do
    local head = redis.call('ZRANGEBYSCORE', key(lines, model), '-inf', before, 'WITHSCORES', 'LIMIT', 0, 1)
    if head[1] and (not first or tonumber(head[2]) < first.since) then
      first = { ref = head[1], model = model, since = tonumber(head[2]) }
    end
  end
  return first
end

local function take_suspect(lines)
  while true do
    local first = first_of(lines, '+inf')
    if not first then
      return false
    end
    if is_fit(first.ref, first.model) then
      charge(first.ref, tag_of(tenant_of(first.ref)), false)
      take(first.ref)
      return true
    end
  end
end

-- One that was passed over for five seconds has the next worker that asks: it gets nothing more, until
-- it is empty. Should it die or stay busy, another is asked in half a minute.
local function is_kept_for_a_loner()
  local first = first_of('quarantined', now_us() - 5000000)
  if not first then
    return false
  end
  local kept = key('quarantine_worker', first.ref)
  redis.call('SET', kept, ask.worker, 'NX', 'PX', 30000)
  return redis.call('GET', kept) == ask.worker
end

local function share_of_this_worker()
  local waiting = 0
  for _, model in ipairs(ask.models) do
    waiting = waiting + redis.call('ZCARD', key('queue', model))
  end
  local workers = math.max(1, redis.call('ZCOUNT', key('workers'), at, '+inf'))
  return math.ceil(waiting / workers)
end

local function take_in_turn(room)
  while #claims < room do
    local turn = next_job(ask.models)
    if not turn then
      return
    end
    if is_fit(turn.ref, turn.model) then
      charge(turn.ref, turn.tag, true)
      take(turn.ref)
    end
  end
end

local heard = redis.call('HMGET', claimed, 'token', 'claims')
if heard[1] == ask.token then
  for _, claim in ipairs(cjson.decode(heard[2])) do
    if holds(claim[1], claim[2]) then
      add(claim[1])
    end
  end
  return claims
end

local room = math.min(ask.room, share_of_this_worker())
if room > 0 then
  if ask.held == 0 and take_suspect('quarantined') then
    room = 0 -- alone
  elseif ask.held > 0 and is_kept_for_a_loner() then
    room = 0
  elseif ask.suspects == 0 then
    take_suspect('suspects')
  end
end
take_in_turn(room)

if #claims > 0 then
  local names = {}
  for i, claim in ipairs(claims) do
    names[i] = { claim[1], claim[2] }
  end
  redis.call('HSET', claimed, 'token', ask.token, 'claims', cjson.encode(names))
  redis.call('PEXPIRE', claimed, ask.lease_ms + 60000)
end
return claims
