-- Takes a cart out of Redis if it is still in the state that could not be journalled: the journal's state counts.
-- KEYS: the cart, records, their order. ARGV: the state's version and its trail.
local here = redis.call('HMGET', KEYS[1], 'version', 'trail')
if here[1] == ARGV[1] and (here[2] or '') == ARGV[2] then
  drop_unanswered(KEYS[2], KEYS[3])
  return redis.call('DEL', KEYS[1])
end
return 0
