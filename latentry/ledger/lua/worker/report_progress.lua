-- Notes the latest steps of several jobs, and publishes them in one message.
-- ARGV: ref, fence, step, steps of each
-- Writes: job, updates
-- Returns how many of the leases still hold.
local updates = {}
for i = 1, #ARGV, 4 do
  local ref, step, steps = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  if holds(ref, ARGV[i + 1]) then
    redis.call('HSET', key('job', ref), 'step', step, 'steps', steps)
    if tonumber(step) > tonumber(field(ref, 'reached') or 0) then -- further than its last worker came
      redis.call('HSET', key('job', ref), 'crashes', 0)
    end
    updates[#updates + 1] = string.format('[%s,%d,%d]', cjson.encode(ref), step, steps)
  end
end
if #updates > 0 then
  redis.call('PUBLISH', channel('updates'), '{"steps":[' .. table.concat(updates, ',') .. ']}')
end
return #updates
