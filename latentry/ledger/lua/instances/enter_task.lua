-- Enters a job as a task of an instance. Of many the oldest go, those first whose job has ended: one that
-- has not must be found to be interrupted.
-- ARGV: tenant, key id, ms that tasks are known, how many, job id, the task's own id
-- Reads: job
-- Writes: tasks
-- Returns 1.
local tasks, most = key('tasks', ARGV[1], ARGV[2]), tonumber(ARGV[4])
redis.call('ZADD', tasks, 'NX', now_us(), ARGV[5] .. ' ' .. ARGV[6])
local excess = redis.call('ZCARD', tasks) - most
if excess > 0 then
  for _, task in ipairs(redis.call('ZRANGE', tasks, 0, -1)) do
    local state = redis.call('HGET', key('job', ARGV[1] .. ':' .. string.match(task, '^[^ ]+')), 'state')
    if excess > 0 and (not state or is_terminal(state)) then
      excess = excess - redis.call('ZREM', tasks, task)
    end
  end
  redis.call('ZREMRANGEBYRANK', tasks, 0, -4 * most - 1)
end
redis.call('PEXPIRE', tasks, ARGV[3])
return 1
