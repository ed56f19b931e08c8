-- Enters a job as a task of an instance. The oldest of many go.
-- ARGV: tenant, key id, ms that tasks are known, how many, job id, the task's own id
-- Writes: tasks
-- Returns 1.
local tasks = key('tasks', ARGV[1], ARGV[2])
redis.call('ZADD', tasks, 'NX', now_us(), ARGV[5] .. ' ' .. ARGV[6])
redis.call('ZREMRANGEBYRANK', tasks, 0, -ARGV[4] - 1)
redis.call('PEXPIRE', tasks, ARGV[3])
return 1
