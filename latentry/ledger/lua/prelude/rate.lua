-- How many requests a key may make: a token bucket in one number, the time at which it is full again
-- (the generic cell rate algorithm of ATM, ITU-T I.371).

-- Takes as many of the wanted requests as there are, or none if these are fewer than the least; a rate of
-- 0 sets no limit. Returns how many it took, how many are left, ms until there are the least, and ms until
-- all are back.
local function take_requests(id, per_minute, burst, wanted, least)
  if per_minute == 0 then
    return wanted, 0, 0, 0
  end
  local now, gap, bucket = now_ms(), 60000 / per_minute, key('rate', id)
  local full = math.max(tonumber(redis.call('GET', bucket) or 0) - now, 0)
  if full > gap * burst + 1 then -- no bucket is so empty: the clock was set back
    full = 0
  end
  local taken = math.max(0, math.min(wanted, math.floor((gap * burst - full + 0.001) / gap)))
  if taken < least then
    taken = 0
  end
  if taken > 0 then
    full = full + taken * gap
    redis.call('SET', bucket, string.format('%.3f', now + full), 'PX', math.ceil(full))
  end
  local wait = math.max(0, full - gap * (burst - least))
  return taken, math.floor(burst - full / gap + 0.001), math.ceil(wait), math.ceil(full)
end
