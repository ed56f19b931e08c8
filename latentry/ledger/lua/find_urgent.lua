-- ARGV: {worker, models, within_ms, held} as JSON; `held`: running jobs that may be handed back, the most
-- dispensable first. Answers {held ref, waiting ref} each: which to exchange for which high job of the
-- same tenant, that must start so soon. For a few seconds only this worker is told of that job, as often
-- as it asks.
local ask = cjson.decode(ARGV[1])
local at, late, answers = now_ms(), {}, {}

-- Of a tenant's own first jobs in these lines, those in a hurry that are ours to care for.
local function late_of(tenant)
  local found = {}
  for _, model in ipairs(ask.models) do
    for _, ref in ipairs(redis.call('ZRANGE', key('tenant_queue', model, tenant), 0, 7)) do
      local priority, deadline, finish_by, takes = fields(ref, 'priority', 'deadline_ms',
        'finish_by_ms', 'takes_ms')
      local latest = math.min(deadline or at, finish_by and finish_by - takes or deadline or at)
      if priority == 'high' and latest > at and latest - at <= ask.within_ms then
        redis.call('SET', key('urgent', ref), ask.worker, 'NX', 'PX', 3000)
        if redis.call('GET', key('urgent', ref)) == ask.worker then
          found[#found + 1] = ref
        end
      end
    end
  end
  return found
end

for _, ref in ipairs(ask.held) do
  local tenant = tenant_of(ref)
  late[tenant] = late[tenant] or late_of(tenant)
  if #late[tenant] > 0 and field(ref, 'priority') ~= 'high' then
    answers[#answers + 1] = { ref, table.remove(late[tenant], 1) }
  end
end
return answers
