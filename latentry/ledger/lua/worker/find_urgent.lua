-- Finds high-priority jobs that would start too late unless another of their tenant's yields. For
-- RESERVED_MS each is reserved for this worker, so that no two workers make room for it.
-- ARGV: {worker, models, within_ms, held, is_full} as JSON; `held`: running jobs that may be handed back,
-- the most dispensable first; `within_ms`: how soon an urgent one must start; `is_full`: whether it has no
-- room for adapters that it does not hold
-- Reads: held, job, named_queue, tenant_queue
-- Writes: urgent
-- Returns {held ref, urgent ref} each: which to exchange for which.
local ask = cjson.decode(ARGV[1])
local now, urgent, answers = now_ms(), {}, {}
local RESERVED_MS, LOOK_AT = 3000, 8

-- The latest that a job may start.
local function latest_start(deadline, finish_by, takes)
  if not deadline then
    return now
  end
  return math.min(deadline, finish_by and finish_by - takes or deadline)
end

local function add_all(list, others)
  for _, other in ipairs(others) do
    list[#list + 1] = other
  end
end

-- The first jobs of a tenant in these queues, whoever's of its users they are.
local function first_of(tenant)
  local refs = {}
  for _, model in ipairs(ask.models) do
    add_all(refs, redis.call('ZRANGE', key('named_queue', model, tenant), 0, LOOK_AT - 1))
    add_all(refs, redis.call('ZRANGE', key('tenant_queue', model, tenant), 0, LOOK_AT - 1))
  end
  return refs
end

-- Of these, the urgent ones that are not reserved for another.
local function urgent_of(tenant)
  local found = {}
  for _, ref in ipairs(first_of(tenant)) do
    local priority, deadline, finish_by, takes, adapters = fields(ref, 'priority', 'deadline_ms',
      'finish_by_ms', 'takes_ms', 'adapters')
    local latest = latest_start(deadline, finish_by, takes)
    local is_due = priority == 'high' and latest > now and latest - now <= ask.within_ms
    if is_due and not (ask.is_full and adapters and not has_in_memory(ask.worker, adapters)) then
      redis.call('SET', key('urgent', ref), ask.worker, 'NX', 'PX', RESERVED_MS)
      if redis.call('GET', key('urgent', ref)) == ask.worker then
        found[#found + 1] = ref
      end
    end
  end
  return found
end

for _, ref in ipairs(ask.held) do
  local tenant = tenant_of(ref)
  urgent[tenant] = urgent[tenant] or urgent_of(tenant)
  if #urgent[tenant] > 0 and field(ref, 'priority') ~= 'high' then
    answers[#answers + 1] = { ref, table.remove(urgent[tenant], 1) }
  end
end
return answers
