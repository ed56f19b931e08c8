-- Keys, the clock and a record's fields. Every script is sent with what it uses of this folder.
-- KEYS[1] is the root: every key begins with it, and so lies in the same hash slot. KEYS[2] is no key
-- but what channels begin with: the root and the database, because databases share their channels.

local ROOT = KEYS[1]
local CHANNELS = KEYS[2]

-- In one concatenation, without a table: a job's way takes some two hundred of them. A field that is
-- missing is false: that is an error, and no other key.
local function key(name, one, two, three)
  if three ~= nil then
    return ROOT .. ':' .. name .. ':' .. one .. ':' .. two .. ':' .. three
  elseif two ~= nil then
    return ROOT .. ':' .. name .. ':' .. one .. ':' .. two
  elseif one ~= nil then
    return ROOT .. ':' .. name .. ':' .. one
  end
  return ROOT .. ':' .. name
end

local function channel(name)
  return CHANNELS .. ':' .. name
end

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Read once in a script.
local began_ms

local function now_ms()
  began_ms = began_ms or math.floor(now_us() / 1000)
  return began_ms
end

local function field(ref, name)
  return redis.call('HGET', key('job', ref), name)
end

local function fields(ref, ...)
  return unpack(redis.call('HMGET', key('job', ref), ...))
end

local function tenant_of(ref)
  return string.match(ref, '^[^:]+')
end
