-- Webhook deliveries: one for each event that a job's webhook asked for. Its name is the job's ref and
-- the event, so it is entered once, whatever is repeated or begins anew.

local EVENTS = { 'running', 'succeeded', 'failed', 'canceled', 'expired' }
-- Longer than all attempts take; also how long a URL that answered 410 stays disabled.
local DELIVERY_TTL_MS = 7 * 24 * 3600 * 1000

local function gone(receiver, url)
  return key('gone', string.match(receiver, '^[^@]*'), redis.sha1hex(url))
end

-- A receiver is due when the first of its deliveries is.
local function schedule_receiver(receiver)
  local first = redis.call('ZRANGE', key('deliveries', receiver), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', key('receivers'), first[2], receiver)
  else
    redis.call('ZREM', key('receivers'), receiver)
  end
end

local function schedule(name, receiver, due)
  redis.call('ZADD', key('deliveries', receiver), due, name)
  schedule_receiver(receiver)
end

-- To be sent now, with a snapshot of the job's record: the job may be forgotten before it is sent.
local function enter_delivery(ref, name, receiver)
  local now = now_ms()
  redis.call('HSET', key('delivery', name), 'state', 'waiting', 'record',
    cjson.encode(redis.call('HGETALL', key('job', ref))))
  redis.call('PEXPIRE', key('delivery', name), DELIVERY_TTL_MS)
  redis.call('ZADD', key('deliveries'), now, name)
  schedule(name, receiver, now)
end

local function unschedule(name, receiver)
  redis.call('ZREM', key('deliveries'), name)
  redis.call('ZREM', key('deliveries', receiver), name)
  schedule_receiver(receiver)
end

-- Ends a delivery: nothing more is sent. Its log stays as long as its job does.
local function end_delivery(ref, name, receiver, state)
  local delivery, left = key('delivery', name), redis.call('PTTL', key('job', ref))
  unschedule(name, receiver)
  redis.call('HSET', delivery, 'state', state)
  redis.call('HDEL', delivery, 'record')
  if left == -2 then
    redis.call('DEL', delivery)
  elseif left > 0 then
    redis.call('PEXPIRE', delivery, left)
  end
end

-- Enters the delivery that a job's webhook asked for, if it asked for this event.
local function notify(ref, event)
  local text = field(ref, 'webhook')
  local webhook = text and cjson.decode(text)
  local name = ref .. ':' .. event
  if not webhook or redis.call('EXISTS', key('delivery', name)) == 1 then
    return
  end
  for _, asked in ipairs(webhook.events) do
    if asked == event then
      redis.call('HSET', key('delivery', name),
        'id', 'evt_' .. string.sub(redis.sha1hex(name), 1, 32), 'url', webhook.url,
        'receiver', webhook.receiver, 'made_ms', now_ms(), 'attempts', 0, 'first', 0)
      enter_delivery(ref, name, webhook.receiver)
      if redis.call('EXISTS', gone(webhook.receiver, webhook.url)) == 1 then
        end_delivery(ref, name, webhook.receiver, 'disabled')
      end
      return
    end
  end
end

-- Drops what was not delivered of a job.
local function drop_deliveries(ref)
  for _, event in ipairs(EVENTS) do
    local name = ref .. ':' .. event
    local receiver = redis.call('HGET', key('delivery', name), 'receiver')
    if receiver then
      unschedule(name, receiver)
      redis.call('DEL', key('delivery', name))
    end
  end
end
