-- Counts rules that no job was created for.
-- ARGV: tenant, payer, usage_ttl_ms, token, {name, action} of each as JSON
-- Writes: counted, usage
-- Returns 1, or 0 if it was counted before: its reply was lost.
if not redis.call('SET', key('counted', ARGV[4]), 1, 'NX', 'PX', 60000) then
  return 0
end
count_rules(ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[5]))
return 1
