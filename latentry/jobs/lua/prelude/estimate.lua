-- How long a job would wait. An errand is what is asked about a job: model, tenant, place, weight,
-- seats (images that a worker of its model steps side by side; 0 if unmeasured), image_ms (what one of
-- its images costs). A worker does one worker-second of work in a second.

-- The live workers: of each, the set of models it serves. Read once in a script.
local crew

local function read_crew()
  if not crew then
    crew = {}
    for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), now_ms(), '+inf')) do
      local models = {}
      for model in string.gmatch(redis.call('GET', key('worker', worker)) or '', '%S+') do
        models[model] = true
      end
      crew[#crew + 1] = models
    end
  end
  return crew
end

-- How many workers serve this model, and all that they serve.
local function served_with(model)
  local workers, others = 0, {}
  for _, models in ipairs(read_crew()) do
    if models[model] then
      workers = workers + 1
      for other in pairs(models) do
        others[other] = true
      end
    end
  end
  return workers, others
end

-- Of what the tenant has in this line, the cost before this place, and all of it.
local function own_cost(model, errand)
  local all = tonumber(redis.call('HGET', key('wants', errand.tenant), model) or 0)
  local part = key('part', model, errand.tenant)
  local jobs = redis.call('ZCARD', part)
  if jobs == 0 then
    return 0, 0
  end
  return all * redis.call('ZCOUNT', part, '-inf', '(' .. errand.place) / jobs, all
end

-- The work in these lines: before the errand, running, in how many images, and the weights of those who
-- wait.
local function work_in(models, errand)
  local total, own, before, running, images = 0, 0, 0, 0, 0
  local weights = { [errand.tenant] = tonumber(errand.weight) }
  for model in pairs(models) do
    local waiting, leased, seated = unpack(redis.call('HMGET', key('load', model), 'waiting_ms',
      'leased_ms', 'leased_images'))
    local ahead, mine = own_cost(model, errand)
    total, running, images = total + (waiting or 0), running + (leased or 0), images + (seated or 0)
    own, before = own + mine, before + ahead
    local held = redis.call('HGETALL', key('weights', model))
    for i = 1, #held, 2 do
      weights[held[i]] = tonumber(held[i + 1])
    end
  end
  local sum = 0
  for _, weight in pairs(weights) do
    sum = sum + weight
  end
  -- First come all others' jobs, or of these no more than their fair part while ours are served.
  local ahead = math.min(total - own + before, before * sum / errand.weight)
  return ahead, running, images
end

-- While a seat is free the first of the line sit down at once; else what runs is half done, on average.
-- nil if nobody serves the model, or nobody knows its pace.
local function wait_ms(errand)
  local workers, models = served_with(errand.model)
  if workers == 0 or errand.seats == 0 then
    return nil
  end
  local ahead, running, images = work_in(models, errand)
  local free = workers * errand.seats - images
  if free > 0 then
    ahead = ahead - (free - 1) * errand.image_ms
  else
    ahead = ahead + running / 2
  end
  return math.ceil(math.max(0, ahead) / workers)
end

local function errand_of(ref)
  local model, place, weight, seats, cost, images = fields(ref, 'model', 'place', 'weight', 'seats',
    'cost_ms', 'n')
  return { model = model, tenant = tenant_of(ref), place = place, weight = weight,
    seats = tonumber(seats), image_ms = cost / images }
end
