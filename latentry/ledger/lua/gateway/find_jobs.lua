-- Finds a tenant's jobs that match, the newest first; a few at a time, as all would hold up others.
-- ARGV: tenant, sequence number to start below ('+inf' for the newest), how many to find, how many to
--   look at, what they must be like as JSON: status, model, kind, since_ms, until_ms, metadata
-- Reads: job, jobs, load, named_queue, quarantined, suspects, tenant_queue, user_cost, user_queue,
--   user_time, users, waiting_cost, weights, worker, workers
-- Returns {sequence number of the last that was looked at, or -1 if there are no others; how many were
-- looked at; how many of those match}, and after these what `read_job` does of each that was found.
local wanted, most, like = tonumber(ARGV[3]), tonumber(ARGV[4]), cjson.decode(ARGV[5])
-- Of a record these few fields are read, never its request, which may be large.
local names, labels = { 'state', 'model', 'kind', 'created_ms' }, {}
for name, value in pairs(like.metadata or {}) do
  labels[#labels + 1] = value
  names[#names + 1] = 'label:' .. name
end

local function has(set, value)
  for _, one in ipairs(set) do
    if one == value then
      return true
    end
  end
  return false
end

local function has_labels(facts)
  for i, value in ipairs(labels) do
    if facts[#facts - #labels + i] ~= value then
      return false
    end
  end
  return true
end

local function matches(facts)
  local state, model, kind, created = unpack(facts)
  return (not like.status or has(like.status, state))
    and (not like.model or like.model == model)
    and (not like.kind or like.kind == kind)
    and (not like.until_ms or tonumber(created) < like.until_ms)
    and has_labels(facts)
end

local rows = redis.call('ZREVRANGEBYSCORE', key('jobs', ARGV[1]), ARGV[2], '-inf', 'WITHSCORES',
  'LIMIT', 0, most)
local answers, last, looked, found = {}, #rows == 2 * most and tonumber(rows[#rows]) or -1, 0, 0
for i = 1, #rows, 2 do
  local facts = redis.call('HMGET', key('job', rows[i]), unpack(names))
  local is_there = facts[1]
  if is_there and like.since_ms and tonumber(facts[4]) < like.since_ms then
    last = -1 -- all others are older
    break
  end
  looked = looked + 1
  if is_there and matches(facts) then
    found = found + 1
    if #answers < wanted then
      answers[#answers + 1] = read_job(rows[i])
    end
  end
  if wanted > 0 and #answers == wanted then
    last = i + 1 < #rows and tonumber(rows[i + 1]) or last
    break
  end
end
return { last, looked, found, unpack(answers) }
