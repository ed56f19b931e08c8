-- Finds a tenant's jobs that match, the newest first; a few at a time, as all would hold up others.
-- ARGV: tenant, sequence number to start below ('+inf' for the newest), how many to find, how many to
--   look at, bytes of requests to decode, what they must be like as JSON: status, model, kind, since_ms,
--   until_ms, metadata
-- Reads: job, jobs, load, quarantined, suspects, tenant_queue, waiting_cost, weights, worker,
--   workers
-- Returns {sequence number of the last that was looked at, or -1 if there are no others; how many were
-- looked at; how many of those match}, and after these what `read_job` does of each that was found.
local wanted, most, like = tonumber(ARGV[3]), tonumber(ARGV[4]), cjson.decode(ARGV[6])
local bytes_left = tonumber(ARGV[5])

-- What is null in JSON is a value of cjson's own.
local function is_given(value)
  return value ~= nil and value ~= cjson.null
end

local function kind_of(request)
  if is_given(request.upscaler) then
    return 'upscale'
  end
  return is_given(request.clip) and 'clip' or is_given(request.interpolation) and 'interpolation'
    or 'generation'
end

local function has(set, value)
  for _, one in ipairs(set) do
    if one == value then
      return true
    end
  end
  return false
end

local function matches_request(ref)
  local text = field(ref, 'request')
  bytes_left = bytes_left - #text
  local request = cjson.decode(text)
  local labels = is_given(request.metadata) and request.metadata or {}
  if like.kind and kind_of(request) ~= like.kind then
    return false
  end
  for name, value in pairs(like.metadata or {}) do
    if labels[name] ~= value then
      return false
    end
  end
  return true
end

local function matches(ref, state, model, created)
  return (not like.status or has(like.status, state))
    and (not like.model or like.model == model)
    and (not like.until_ms or tonumber(created) < like.until_ms)
    and (not (like.kind or like.metadata) or matches_request(ref))
end

local rows = redis.call('ZREVRANGEBYSCORE', key('jobs', ARGV[1]), ARGV[2], '-inf', 'WITHSCORES',
  'LIMIT', 0, most)
local answers, last, looked, found = {}, #rows == 2 * most and tonumber(rows[#rows]) or -1, 0, 0
for i = 1, #rows, 2 do
  local state, model, created = fields(rows[i], 'state', 'model', 'created_ms')
  if state and like.since_ms and tonumber(created) < like.since_ms then
    last = -1 -- all others are older
    break
  end
  looked = looked + 1
  if state and matches(rows[i], state, model, created) then
    found = found + 1
    if #answers < wanted then
      answers[#answers + 1] = read_job(rows[i])
    end
  end
  if (wanted > 0 and #answers == wanted) or bytes_left <= 0 then
    last = i + 1 < #rows and tonumber(rows[i + 1]) or last
    break
  end
end
return { last, looked, found, unpack(answers) }
