-- The one place where a job changes its state.

local NEXT = {
  queued = { running = true, canceled = true, expired = true, failed = true },
  running = { queued = true, succeeded = true, failed = true, canceled = true, expired = true },
}

local function is_terminal(state)
  return NEXT[state] == nil
end

-- An illegal transition is a bug of the service, and fails the script.
local function transition(ref, to)
  local job = key('job', ref)
  local from = redis.call('HGET', job, 'state')
  if not (NEXT[from] and NEXT[from][to]) then
    error('illegal transition of ' .. ref .. ': ' .. tostring(from) .. ' to ' .. to)
  end
  redis.call('HSET', job, 'state', to)
end

-- No worker will resume this job.
local function drop_checkpoints(ref)
  local held = redis.call('HGET', key('checkpoints'), ref)
  if held then
    redis.call('HDEL', key('checkpoints'), ref)
    redis.call('HINCRBY', key('checkpoints'), 'total', -held)
    redis.call('DEL', key('checkpoint', ref))
  end
end

-- Back to its old place in the queue. `has_run`: the time that it may wait starts afresh; its
-- `finish_by` stays.
local function requeue(ref, has_run)
  transition(ref, 'queued')
  local step, reached, queue_ttl = fields(ref, 'step', 'reached', 'queue_ttl_ms')
  if step then
    redis.call('HSET', key('job', ref), 'reached', math.max(step, reached or 0))
  end
  if has_run then
    redis.call('HSET', key('job', ref), 'deadline_ms', now_ms() + queue_ttl)
  end
  end_lease(ref)
  redis.call('HDEL', key('job', ref), 'worker', 'step', 'steps')
  refund(ref)
  enqueue(ref)
end

-- Out of its queue, leased to a worker.
local function begin_run(ref, worker, lease_ms)
  dequeue(ref)
  transition(ref, 'running')
  grant_lease(ref, worker, lease_ms)
  emit(ref, 'running', '{}')
  notify(ref, 'running')
end

-- An output, `kind:index:name`, whose bytes are in storage. One that is listed already stays as it is.
local function list_output(ref, label, output)
  if redis.call('HSETNX', key('job', ref), 'output:' .. label, output) == 1 then
    redis.call('HSET', key('job', ref), 'crashes', 0) -- it came further than its last worker
    local kind = string.match(label, '^%a+')
    if kind ~= CAPTION then -- it comes with the job's end
      emit(ref, IMAGES[kind] and 'image' or 'output', output)
    end
    if string.find(output, '"applied":[', 1, true) then -- of few: reading JSON takes its time
      local payer, ttl = fields(ref, 'payer', 'usage_ttl_ms')
      count_rules(tenant_of(ref), payer, ttl, cjson.decode(output).applied)
    end
  end
end

-- The ends that no gateway has taken yet; beyond this many the oldest go uncounted.
local MAX_ENDS = 10000

-- How a job ended, for the gateway that counts it. Times are nil unless it ran.
local function record_end(ref, status, code, queue_ms, run_ms)
  redis.call('RPUSH', key('ends'), cjson.encode({ ref = ref, status = status, code = code or '',
    model = field(ref, 'model') or '', queue_ms = queue_ms, run_ms = run_ms }))
  redis.call('LTRIM', key('ends'), -MAX_ENDS, -1)
end

-- The last transition of a job. From here on only retention touches it.
local function finish(ref, to, code, message)
  transition(ref, to)
  dequeue(ref)
  drop_checkpoints(ref)
  unpin_files(ref)
  close_account(ref, to)
  end_lease(ref)
  local job, now = key('job', ref), now_ms()
  redis.call('HSET', job, 'finished_ms', now)
  redis.call('HDEL', job, 'step', 'steps', 'watched')
  if code and code ~= '' then
    redis.call('HSET', job, 'error_code', code, 'error_message', message)
  end
  redis.call('ZADD', key('retention'), now + field(ref, 'ttl_ms'), ref)
  redis.call('PEXPIRE', job, lifetime(ref))
  notify(ref, to)
  emit(ref, to, '{}')
  local created, started = fields(ref, 'created_ms', 'started_ms')
  record_end(ref, to, code, started and started - created or nil, started and now - started or nil)
end

-- Ends a job whose record cannot be read (another version's, or changed by hand) as far as possible. What
-- of it was leased is counted anew by the sweep.
local function break_off(ref, model, has_ended)
  local now = now_ms()
  if not has_ended then
    redis.call('HSET', key('job', ref), 'state', 'failed', 'finished_ms', now, 'error_code',
      'unreadable_record', 'error_message',
      "This version cannot read the ledger's record of this job.")
    record_end(ref, 'failed', 'unreadable_record')
  end
  purge(ref, model, field(ref, 'user'))
  unpin_files(ref)
  redis.call('ZREM', key('leases'), ref)
  redis.call('ZADD', key('retention'), now + (field(ref, 'ttl_ms') or 3600000), ref)
end

-- Its worker gives it back unfinished. That is no crash, and not charged. Without a step made it has
-- only waited: a model that loads nowhere must not keep its jobs for ever.
local function hand_back(ref)
  local step, reached = fields(ref, 'step', 'reached')
  if field(ref, 'stop') then
    finish(ref, 'canceled')
  else
    requeue(ref, step and tonumber(step) > tonumber(reached or 0))
  end
end

-- Its deadline has passed, waiting or running. A worker that runs it is signalled to stop.
local function expire(ref)
  local state, waited_until, finish_by = fields(ref, 'state', 'deadline_ms', 'finish_by_ms')
  if finish_by and now_ms() >= tonumber(finish_by) then
    finish(ref, 'expired', 'expired', 'The job did not finish in time.')
  else
    finish(ref, 'expired', 'expired', 'The job did not start in time.')
  end
  if state == 'running' then
    redis.call('PUBLISH', channel('stop'), ref)
  end
end

-- So many of the jobs that wait for a model fail: no worker has it any more. Returns how many did.
local function end_waiting(model, most)
  local refs = redis.call('ZRANGE', key('queue', model), 0, most - 1)
  for _, ref in ipairs(refs) do
    if redis.call('EXISTS', key('job', ref)) == 0 then
      purge(ref, model)
    elseif not pcall(finish, ref, 'failed', 'model_gone',
      'The model was removed from the service before the job began.') then
      break_off(ref, model)
    end
  end
  return #refs
end

-- A job as readers get it: {ref, record, position in its user's own queue or -1, when it may start in
-- Unix ms or -1}; an empty record if there is none.
local function read_job(ref)
  local record, position, start_ms = redis.call('HGETALL', key('job', ref)), -1, -1
  if #record > 0 and field(ref, 'state') == 'queued' then
    local model, crashes, user = fields(ref, 'model', 'crashes', 'user')
    position = position_of(ref, model, crashes, user) or -1
    local wait = wait_ms(candidate_of(ref))
    start_ms = wait and now_ms() + wait or -1
  end
  return { ref, record, position, start_ms }
end
