-- What receivers are to be told: a delivery for each event that a job's webhook asked for. Its name
-- is the job's ref and the event, so it is entered once, whatever is repeated or begins anew.

local EVENTS = { 'running', 'succeeded', 'failed', 'canceled', 'expired' }
-- Longer than all attempts take, and longer than a receiver that is gone is left in peace.
local NOTICE_MS = 7 * 24 * 3600 * 1000

local function gone(receiver, url)
  return key('gone', string.match(receiver, '^[^@]*'), redis.sha1hex(url))
end

-- A receiver stands where its first delivery is due.
local function schedule_receiver(receiver)
  local first = redis.call('ZRANGE', key('deliveries', receiver), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', key('receivers'), first[2], receiver)
  else
    redis.call('ZREM', key('receivers'), receiver)
  end
end

local function schedule(name, receiver, at)
  redis.call('ZADD', key('deliveries', receiver), at, name)
  schedule_receiver(receiver)
end

-- To be sent now, with what is known of the job: the job may be forgotten before it arrives.
local function enter_delivery(ref, name, receiver)
  local at = now_ms()
  redis.call('HSET', key('delivery', name), 'state', 'waiting', 'record',
    cjson.encode(redis.call('HGETALL', key('job', ref))))
  redis.call('PEXPIRE', key('delivery', name), NOTICE_MS)
  redis.call('ZADD', key('deliveries'), at, name)
  schedule(name, receiver, at)
end

local function unschedule(name, receiver)
  redis.call('ZREM', key('deliveries'), name)
  redis.call('ZREM', key('deliveries', receiver), name)
  schedule_receiver(receiver)
end

-- Nothing more is tried. Its log stays as long as its job does.
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

-- An event happened to a job: enter the delivery that its webhook asked for, if it did.
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

-- Nobody is to hear of this job any more.
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
