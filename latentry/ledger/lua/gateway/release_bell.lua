-- Gives back the right to send these models' bells: they could not be sent.
-- ARGV: models
-- Writes: bell
-- Returns 1.
for i = 1, #ARGV do
  redis.call('DEL', key('bell', ARGV[i]))
end
return 1
