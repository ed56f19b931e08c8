-- The waiting lines.

local function enter_line(ref)
  local model = field(ref, 'model')
  redis.call('ZADD', key('line', model), field(ref, 'turn'), ref)
  redis.call('ZADD', key('deadlines'), field(ref, 'deadline_ms'), ref)
  local position = redis.call('ZRANK', key('line', model), ref)
  tell(ref, 'queued', string.format('{"position":%d}', position))
  redis.call('PUBLISH', key('wake'), model)
  return position
end

local function leave_line(ref)
  redis.call('ZREM', key('line', field(ref, 'model')), ref)
  redis.call('ZREM', key('deadlines'), ref)
end
