-- Notes the latest steps of several jobs, and publishes them in one message.
-- ARGV: ms between two previews of a job that is looked at, then ref, fence, step, steps of each job
-- Writes: job, preview, updates
-- Returns how many of the leases still hold, then of each job whose next preview is wanted its place
-- among them all, and after every how many steps.
local updates, answers = {}, { 0 }

local function show_if_wanted(ref, place)
  local preview = key('preview', ref)
  local every, due_ms = unpack(redis.call('HMGET', preview, 'every', 'due_ms'))
  if every and now_ms() >= tonumber(due_ms or 0) then
    redis.call('HSET', preview, 'due_ms', now_ms() + ARGV[1])
    answers[#answers + 1] = place
    answers[#answers + 1] = tonumber(every)
  end
end

for i = 2, #ARGV, 4 do
  local ref, step, steps = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  if holds(ref, ARGV[i + 1]) then
    local reached, watched = fields(ref, 'reached', 'watched')
    redis.call('HSET', key('job', ref), 'step', step, 'steps', steps)
    if tonumber(step) > tonumber(reached or 0) then -- further than its last worker came
      redis.call('HSET', key('job', ref), 'crashes', 0)
    end
    updates[#updates + 1] = string.format('[%s,%d,%d]', cjson.encode(ref), step, steps)
    if watched then
      show_if_wanted(ref, (i - 2) / 4)
    end
  end
end
answers[1] = #updates
if #updates > 0 then
  redis.call('PUBLISH', channel('updates'), '{"steps":[' .. table.concat(updates, ',') .. ']}')
end
return answers
