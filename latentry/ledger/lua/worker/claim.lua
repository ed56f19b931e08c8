-- Claims jobs for a worker: suspects first, then by fair queueing, and no more than this worker's share
-- of what waits, so that one does not hoard while another idles.
-- ARGV: {worker, token, models, room, held, crashed, begins, is_full, lease_ms} as JSON; `held`: how many jobs
-- it has already, `crashed`: how many of those a worker died of; `begins`: whether there is a row for each
-- job, which counts as begun then; `is_full`: whether it has no room for adapters that it does not hold
-- Reads: file, gone, held, worker, workers
-- Writes: active, checkpoint, checkpoints, claimed, deadlines, deliveries, delivery, ends, events,
--   fileends, job, leases, load, named_queue, pins, quarantined, queue, receivers, reserved,
--   retention, stop, suspects, tags, tenant_queue, tenants, updates, usage, user_cost, user_queue,
--   user_tags, user_time, users, virtual_time, waiting_cost, weights
-- Returns {claims, how many jobs still wait that it may run, in how many ms it may have those that it left
-- to others, or 0}, a claim as {ref, fence, record}; repeated
-- with its token, the same claims.
local ask = cjson.decode(ARGV[1])
local now, claims, begun = now_ms(), {}, {}
local claimed = key('claimed', ask.worker)
-- A quarantined job that was passed over for so long reserves a worker, for so long.
local PASSED_OVER_US, RESERVED_MS = 5000000, 30000
-- A job is left to workers that hold its adapters for so long at most, from its turn on; one claim leaves
-- so many. A worker that has no room for adapters looks again after so long, and so may look further.
local LEFT_MS, FULL_MS = 200, 1000
local MOST_LEFT = ask.is_full and 64 or 16
local left, left_count, left_ms = {}, 0, 0

local function add(ref)
  claims[#claims + 1] = { ref, field(ref, 'fence'), redis.call('HGETALL', key('job', ref)) }
end

-- Should the worker die in the job's first step, before any report, the job is a suspect.
local function count_as_begun(ref)
  local reached, text = fields(ref, 'reached', 'request')
  local is_read, request = pcall(cjson.decode, text)
  local steps = is_read and type(request) == 'table'
    and tonumber(request.num_inference_steps or request.steps)
  if steps then -- else nobody can run it: its worker finds so
    redis.call('HSET', key('job', ref), 'step', reached or 0, 'steps', steps)
    begun[#begun + 1] = string.format('[%s,%d,%d]', cjson.encode(ref), reached or 0, steps)
  end
end

local function take(ref)
  begin_run(ref, ask.worker, ask.lease_ms)
  if ask.begins then
    count_as_begun(ref)
  end
  add(ref)
end

-- Whether this job can be run at all; if not, it is out of its queue now.
local function is_fit(ref, model, user)
  local deadline, finish_by = fields(ref, 'deadline_ms', 'finish_by_ms')
  if not deadline then
    purge(ref, model, user)
  elseif math.min(deadline, finish_by or deadline) <= now then
    expire(ref)
  else
    return true
  end
end

-- The job that waits longest in these queues (`suspects` or `quarantined`), if since before then.
local function first_of(queues, before)
  local first
  for _, model in ipairs(ask.models) do
    local head = redis.call('ZRANGEBYSCORE', key(queues, model), '-inf', before, 'WITHSCORES',
      'LIMIT', 0, 1)
    if head[1] and (not first or tonumber(head[2]) < first.since) then
      first = { ref = head[1], model = model, since = tonumber(head[2]) }
    end
  end
  return first
end

-- Whether this worker is to get nothing more until it is empty, and run a quarantined job then. Should
-- it die or stay busy, another worker is reserved in its place.
local function is_reserved()
  local first = first_of('quarantined', now_us() - PASSED_OVER_US)
  if not first then
    return false
  end
  local reserved = key('reserved', first.ref)
  redis.call('SET', reserved, ask.worker, 'NX', 'PX', RESERVED_MS)
  return redis.call('GET', reserved) == ask.worker
end

local function count_waiting()
  local waiting = 0
  for _, model in ipairs(ask.models) do
    waiting = waiting + redis.call('ZCARD', key('queue', model))
  end
  return waiting
end

-- Less those for which something that this worker holds must end first.
local function count_open()
  local waiting, has_suspect = count_waiting(), ask.crashed > 0
  for _, claim in ipairs(claims) do
    has_suspect = has_suspect or field(claim[1], 'crashes') ~= '0'
  end
  for _, model in ipairs(ask.models) do
    if ask.held + #claims > 0 then
      waiting = waiting - redis.call('ZCARD', key('quarantined', model))
    end
    if has_suspect then
      waiting = waiting - redis.call('ZCARD', key('suspects', model))
    end
  end
  return waiting
end

local function share_of_this_worker()
  local workers = math.max(1, redis.call('ZCOUNT', key('workers'), now, '+inf'))
  return math.ceil(count_waiting() / workers)
end

local function another_has(adapters, model)
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), now, '+inf')) do
    if worker ~= ask.worker and has_in_memory(worker, adapters) then
      local serves = ' ' .. (redis.call('GET', key('worker', worker)) or '') .. ' '
      if string.find(serves, ' ' .. model .. ' ', 1, true) then
        return true
      end
    end
  end
  return false
end

-- For how many ms this worker leaves a job, whose turn it is, to others; 0 if not at all.
local function leaves_for(ref, model)
  local adapters, since = fields(ref, 'adapters', 'left_ms')
  if not adapters or has_in_memory(ask.worker, adapters) then
    return 0
  end
  if ask.is_full then
    return FULL_MS
  end
  local rest = since and math.max(0, since + LEFT_MS - now) or LEFT_MS
  if rest == 0 or not another_has(adapters, model) then
    return 0
  end
  redis.call('HSETNX', key('job', ref), 'left_ms', now)
  return rest
end

local function leave(ref, ms)
  left[ref], left_count = true, left_count + 1
  left_ms = left_ms == 0 and ms or math.min(left_ms, ms)
end

-- One that has to be loaded for keeps its place while there is no room: else it would be claimed and
-- handed back without end.
local function take_one_of(queues)
  while true do
    local first = first_of(queues, '+inf')
    if not first then
      return false
    end
    if ask.is_full and leaves_for(first.ref, first.model) > 0 then
      leave(first.ref, FULL_MS)
      return false
    end
    if is_fit(first.ref, first.model) then
      charge(first.ref, tag_of(tenant_of(first.ref)), false)
      take(first.ref)
      return true
    end
  end
end

local function take_in_order(room)
  while #claims < room do
    local head = next_job(ask.models, left, left_count)
    if not head then
      return
    end
    local ms = leaves_for(head.ref, head.model)
    if ms > 0 and left_count == MOST_LEFT then
      return
    end
    if ms > 0 then
      leave(head.ref, ms)
    elseif is_fit(head.ref, head.model, head.user) then
      charge(head.ref, head.tag, true)
      take(head.ref)
    end
  end
end

local last = redis.call('HMGET', claimed, 'token', 'claims')
if last[1] == ask.token then -- its reply was lost
  for _, claim in ipairs(cjson.decode(last[2])) do
    if holds(claim[1], claim[2]) then
      add(claim[1])
    end
  end
  return { claims, count_open(), 0 }
end

local room = math.min(ask.room, share_of_this_worker())
if room > 0 then
  if ask.held == 0 and take_one_of('quarantined') then
    room = 0 -- it runs alone
  elseif ask.held > 0 and is_reserved() then
    return { {}, 0, 0 } -- there is nothing for this worker until it is empty
  elseif ask.crashed == 0 then
    take_one_of('suspects')
  end
end
take_in_order(room)

if #begun > 0 then
  redis.call('PUBLISH', channel('updates'), '{"steps":[' .. table.concat(begun, ',') .. ']}')
end
if #claims > 0 then
  local names = {}
  for i, claim in ipairs(claims) do
    names[i] = { claim[1], claim[2] }
  end
  redis.call('HSET', claimed, 'token', ask.token, 'claims', cjson.encode(names))
  redis.call('PEXPIRE', claimed, ask.lease_ms + 60000)
end
return { claims, math.max(0, count_open() - left_count), left_ms }
