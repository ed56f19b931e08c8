-- Lists the tasks of an instance, the oldest first.
-- ARGV: tenant, key id
-- Reads: job, tasks
-- Returns the ledger's Unix ms, and of each {job id and its own id, state, step, steps, images,
-- created_ms, started_ms}; what a job has not is nil, and of one that is not there all.
local listed = redis.call('ZRANGE', key('tasks', ARGV[1], ARGV[2]), 0, -1)
local answers = { now_ms() }
for _, task in ipairs(listed) do
  local ref = ARGV[1] .. ':' .. string.match(task, '^[^ ]+')
  local found = redis.call('HMGET', key('job', ref), 'state', 'step', 'steps', 'n', 'created_ms', 'started_ms')
  answers[#answers + 1] = { task, unpack(found) }
end
return answers
