-- What each API key has used and may use, by days (UTC) since 1970. A payer is a key's id, or '-' where
-- there are no keys; a job's record says who pays for it, and what an image of it costs.

local DAY_MS = 86400000
-- Kinds of outputs that are final pictures: what is charged for.
local IMAGES = { image = true, frame = true }
-- One that a rule withholds, and that is paid for all the same.
local CHARGED = 'charged'
-- Of an output that is words: no image, and paid for as one.
local CAPTION = 'caption'

local function add_usage(tenant, payer, day, amounts, ttl)
  local usage = key('usage', tenant, day)
  for what, amount in pairs(amounts) do
    redis.call('HINCRBY', usage, payer .. ':' .. what, amount)
  end
  redis.call('PEXPIRE', usage, ttl)
end

-- Rules that were met today, each as {its name, what it did}.
local function count_rules(tenant, payer, ttl, applied)
  for _, one in ipairs(applied) do
    local rule = { ['rule:' .. one[1] .. ':' .. one[2]] = 1 }
    add_usage(tenant, payer, math.floor(now_ms() / DAY_MS), rule, ttl)
  end
end

-- Why this account may not create a job now: {refusal, what is left, ms to wait}; nil if it may.
local function over_limit(tenant, account)
  local active = key('active', tenant, account.payer)
  if account.max_jobs > 0 and redis.call('SCARD', active) >= account.max_jobs then
    for _, ref in ipairs(redis.call('SRANDMEMBER', active, 10)) do -- a few: each refusal checks some
      if redis.call('EXISTS', key('job', ref)) == 0 then -- its record was evicted, or removed by hand
        redis.call('SREM', active, ref)
      end
    end
    if redis.call('SCARD', active) >= account.max_jobs then
      return { 'too_many_jobs', 0, 0 }
    end
  end
  if account.max_step_pixels > 0 then
    local now = now_ms()
    local day = math.floor(now / DAY_MS)
    local spent = redis.call('HGET', key('usage', tenant, day), account.payer .. ':charged') or 0
    if spent + account.step_pixels > account.max_step_pixels then
      return { 'quota_exceeded', account.max_step_pixels - spent, (day + 1) * DAY_MS - now }
    end
  end
end

-- A job enters: it counts against its payer's limits from here on.
local function open_account(ref, tenant, account)
  local day = math.floor(now_ms() / DAY_MS)
  redis.call('HSET', key('job', ref), 'payer', account.payer, 'charged', account.step_pixels,
    'charged_day', day, 'image_step_pixels', account.image_step_pixels,
    'usage_ttl_ms', account.usage_ttl_ms)
  add_usage(tenant, account.payer, day, { charged = account.step_pixels }, account.usage_ttl_ms)
  if account.max_jobs > 0 then
    redis.call('SADD', key('active', tenant, account.payer), ref)
  end
end

-- A job has ended: what it made is added to its payer's usage. What it was charged and did not make is
-- refunded, unless its caller ended it while it ran, by canceling or by a deadline: else the device's
-- time would be free.
local function close_account(ref, to)
  local job = key('job', ref)
  local payer, charged, charged_day, each, ttl = unpack(redis.call('HMGET', job, 'payer',
    'charged', 'charged_day', 'image_step_pixels', 'usage_ttl_ms'))
  if not payer then -- entered by a version that counted no usage
    return
  end
  local tenant, images, others = string.match(ref, '^[^:]+'), 0, 0
  for _, name in ipairs(redis.call('HKEYS', job)) do
    local kind = string.match(name, '^output:(%a+):')
    if IMAGES[kind] then
      images = images + 1
    elseif kind == CHARGED or kind == CAPTION then
      others = others + 1
    end
  end
  local made, day = (images + others) * each, math.floor(now_ms() / DAY_MS)
  add_usage(tenant, payer, day, { [to] = 1, images = images, step_pixels = made }, ttl)
  local is_running = redis.call('ZSCORE', key('leases'), ref)
  if made < tonumber(charged) and not (is_running and (to == 'canceled' or to == 'expired')) then
    add_usage(tenant, payer, charged_day, { charged = made - charged }, ttl)
  end
  redis.call('SREM', key('active', tenant, payer), ref)
end
