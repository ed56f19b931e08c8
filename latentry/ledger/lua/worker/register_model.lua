-- Enters a model into the catalogue, or replaces its card.
-- ARGV: model, card JSON, and of the adapters that its workers have: digest, or '' without any; the list as
-- JSON, or '' if it may be here already; ttl_ms
-- Writes: adapter_list, adapters, models, withdrawn
-- Returns 1 if the model is new, else 0; -1 if the list has to come too.
local model, digest = ARGV[1], ARGV[3] or ''
local is_new = redis.call('HSET', key('models'), model, ARGV[2])
redis.call('SREM', key('withdrawn'), model)
if digest == '' then
  redis.call('HDEL', key('adapters'), model)
  return is_new
end
if ARGV[4] ~= '' then
  redis.call('SET', key('adapter_list', digest), ARGV[4])
end
if redis.call('PEXPIRE', key('adapter_list', digest), ARGV[5]) == 0 then
  return -1
end
redis.call('HSET', key('adapters'), model, digest)
return is_new
