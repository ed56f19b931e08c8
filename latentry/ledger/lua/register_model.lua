-- ARGV: model, card JSON. Enters a model; a card already there keeps its place but not its text.
return redis.call('HSET', key('models'), ARGV[1], ARGV[2])
