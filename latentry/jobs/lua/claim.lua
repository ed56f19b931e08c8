-- ARGV: worker, lease_ms, how many, then the models it serves. Answers {ref, fence, record} each:
-- the longest waiting first, across the lines, and no more than this worker's share of what waits,
-- so that one does not hoard while another idles.
local worker, lease, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at, claims = now_ms(), {}

local function next_in_line()
  local first, first_line, first_turn
  for i = 4, #ARGV do
    local line = key('line', ARGV[i])
    local head = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
    if head[1] and (not first_turn or tonumber(head[2]) < first_turn) then
      first, first_line, first_turn = head[1], line, tonumber(head[2])
    end
  end
  return first, first_line
end

local waiting = 0
for i = 4, #ARGV do
  waiting = waiting + redis.call('ZCARD', key('line', ARGV[i]))
end
local workers = math.max(1, redis.call('ZCOUNT', key('workers'), at, '+inf'))
room = math.min(room, math.ceil(waiting / workers))

while #claims < room do
  local ref, line = next_in_line()
  if not ref then
    break
  end
  local deadline = field(ref, 'deadline_ms')
  if not deadline then -- its record is gone (evicted, or removed by hand)
    redis.call('ZREM', line, ref)
  elseif tonumber(deadline) <= at then
    finish(ref, 'expired', 'expired', 'The job waited longer than it may.')
  else
    leave_line(ref)
    move(ref, 'running')
    local job = key('job', ref)
    local fence = redis.call('HINCRBY', job, 'fence', 1)
    redis.call('HSET', job, 'worker', worker)
    redis.call('HSETNX', job, 'started_ms', at)
    redis.call('ZADD', key('leases'), at + lease, ref)
    notify(ref, 'running')
    tell(ref, 'running', '{}')
    claims[#claims + 1] = { ref, tostring(fence), redis.call('HGETALL', job) }
  end
end
return claims
