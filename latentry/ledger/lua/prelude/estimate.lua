-- How long a job would wait. A candidate is what counts of it: model, tenant, user, score, weight, seats
-- (images that a worker of its model denoises side by side; 0 if unmeasured), image_ms (what one of its
-- images costs). A worker does one worker-second of work in a second.

-- The live workers: of each, the set of models it serves. Read once in a script.
local live_workers

local function read_workers()
  if not live_workers then
    live_workers = {}
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), now_ms(), '+inf')) do
      local models = {}
      for model in string.gmatch(redis.call('GET', key('worker', worker)) or '', '%S+') do
        models[model] = true
      end
      live_workers[#live_workers + 1] = models
    end
  end
  return live_workers
end

-- How many workers serve this model, and all that they serve.
local function served_with(model)
  local workers, others = 0, {}
  for _, models in ipairs(read_workers()) do
    if models[model] then
      workers = workers + 1
      for other in pairs(models) do
        others[other] = true
      end
    end
  end
  return workers, others
end

-- How many jobs this queue has, and of their cost what comes before this score.
local function cost_before(queue, score, cost)
  local jobs = redis.call('ZCARD', queue)
  if jobs == 0 then
    return 0, 0
  end
  return jobs, cost * redis.call('ZCOUNT', queue, '-inf', '(' .. score) / jobs
end

-- Of what the tenant has waiting in these queues, the cost before the candidate, and all of it.
local function own_cost(models, candidate)
  local tenant, all, before = candidate.tenant, 0, 0
  for model in pairs(models) do
    local cost = tonumber(redis.call('HGET', key('waiting_cost', tenant), model) or 0)
    local _, ahead = cost_before(key('tenant_queue', model, tenant), candidate.score, cost)
    all, before = all + cost, before + ahead
  end
  return before, all
end

-- The same where its users take turns: before it come all jobs of other users, or of these no more than
-- their fair share. One who waits in several queues counts as several.
local function own_cost_by_users(models, candidate)
  local tenant, user, all, own, before, others = candidate.tenant, candidate.user, 0, 0, 0, 0
  for model in pairs(models) do
    local cost = tonumber(redis.call('HGET', key('user_cost', tenant, user), model) or 0)
    local jobs, ahead = cost_before(queue_of_user(model, tenant, user), candidate.score, cost)
    own, before = own + cost, before + ahead
    all = all + (redis.call('HGET', key('waiting_cost', tenant), model) or 0)
    others = others + redis.call('ZCARD', key('users', model, tenant)) - (jobs > 0 and 1 or 0)
  end
  return math.min(all - own + before, before * (others + 1)), all
end

-- What a model's workers have to do, in all the queues that they serve. Read once in a script.
local works = {}

local function work_of(model)
  if works[model] then
    return works[model]
  end
  local work = { waiting = 0, running = 0, images = 0, weights = {}, sum = 0 }
  work.workers, work.models = served_with(model)
  for other in pairs(work.models) do
    local waiting, leased, seated = unpack(redis.call('HMGET', key('load', other), 'waiting_ms',
      'leased_ms', 'leased_images'))
    work.waiting, work.running = work.waiting + (waiting or 0), work.running + (leased or 0)
    work.images = work.images + (seated or 0)
    local held = redis.call('HGETALL', key('weights', other))
    for i = 1, #held, 2 do
      work.weights[held[i]] = tonumber(held[i + 1])
    end
  end
  for _, weight in pairs(work.weights) do
    work.sum = work.sum + weight
  end
  works[model] = work
  return work
end

-- The cost of what comes before the candidate: all jobs of other tenants, or of these no more than
-- their fair share while its own tenant's are served.
local function cost_ahead(candidate, work)
  local by_users = candidate.user ~= NOBODY or take_turns(candidate.tenant)
  local before, own = (by_users and own_cost_by_users or own_cost)(work.models, candidate)
  local sum = work.sum - (work.weights[candidate.tenant] or 0) + candidate.weight
  return math.min(work.waiting - own + before, before * sum / candidate.weight)
end

-- While a seat is free the first of the queue start at once; else what runs is half done, on average.
-- nil if no worker serves the model, or none has measured it.
local function wait_ms(candidate)
  local work = work_of(candidate.model)
  if work.workers == 0 or candidate.seats == 0 then
    return nil
  end
  local ahead, free = cost_ahead(candidate, work), work.workers * candidate.seats - work.images
  if free > 0 then
    ahead = ahead - (free - 1) * candidate.image_ms
  else
    ahead = ahead + work.running / 2
  end
  return math.ceil(math.max(0, ahead) / work.workers)
end

local function candidate_of(ref)
  local model, user, score, weight, seats, cost, images = fields(ref, 'model', 'user', 'score',
    'weight', 'seats', 'cost_ms', 'n')
  return { model = model, tenant = tenant_of(ref), user = user or NOBODY, score = score,
    weight = weight, seats = tonumber(seats), image_ms = cost / images }
end
