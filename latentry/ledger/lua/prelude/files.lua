-- Files and the jobs that pin them: a file's bytes stay until the last of these jobs has ended.

-- Whether new requests may name it.
local function is_usable(file)
  local ends, deleted = unpack(redis.call('HMGET', key('file', file), 'expires_ms', 'deleted'))
  return ends and not deleted and tonumber(ends) > now_ms()
end

-- Whether a job that has not ended pins it. Of jobs whose record was evicted, or removed by hand, a few
-- pins are dropped each time.
local function is_pinned(file)
  local pins = key('pins', file)
  for _, ref in ipairs(redis.call('SRANDMEMBER', pins, 10)) do
    if redis.call('EXISTS', key('job', ref)) == 0 then
      redis.call('SREM', pins, ref)
    end
  end
  return redis.call('EXISTS', pins) == 1
end

local function pin_files(ref, files)
  for _, file in ipairs(files) do
    redis.call('SADD', key('pins', file), ref)
  end
  if #files > 0 then
    redis.call('HSET', key('job', ref), 'files', table.concat(files, ' '))
  end
end

-- A job has ended. What expired or was deleted meanwhile is due.
local function unpin_files(ref)
  for file in string.gmatch(field(ref, 'files') or '', '%S+') do
    local pins = key('pins', file)
    if redis.call('SREM', pins, ref) == 1 and redis.call('EXISTS', pins) == 0
      and not is_usable(file) then
      redis.call('ZADD', key('fileends'), 'XX', now_ms(), file)
    end
  end
end
