-- Events of a job: stored in its stream, and published to those who follow it.

-- How long a job's keys may stay from now on, in ms: its wait, its result, and an hour in which
-- retention removes the outputs and must still find the record.
local function lifetime(ref)
  local times = redis.call('HMGET', key('job', ref), 'created_ms', 'deadline_ms', 'ttl_ms')
  return times[2] - times[1] + times[3] + 3600000
end

-- Appends an event to the job's durable stream and publishes it. `data` is a JSON object.
local function emit(ref, kind, data)
  local stream = key('events', ref)
  local id = redis.call('XADD', stream, 'MAXLEN', '~', 256, '*', 'type', kind, 'data', data)
  redis.call('PEXPIRE', stream, lifetime(ref))
  redis.call('PUBLISH', channel('updates'),
    string.format('{"ref":%s,"id":"%s","type":"%s","data":%s}', cjson.encode(ref), id, kind, data))
end
