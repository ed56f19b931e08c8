-- Enters a model into the catalogue, or replaces its card.
-- ARGV: model, card JSON
-- Writes: models
-- Returns 1 if the model is new, else 0.
return redis.call('HSET', key('models'), ARGV[1], ARGV[2])
