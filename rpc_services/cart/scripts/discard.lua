-- Takes a cart out of Redis if it is still at the version that could not be journalled: the journal's state counts.
-- KEYS: the cart, records, their order. ARGV: version, and the operation that has had no effect then, or ''.
if redis.call('HGET', KEYS[1], 'version') == ARGV[1] then
  drop_record(KEYS[2], KEYS[3], ARGV[2])
  return redis.call('DEL', KEYS[1])
end
return 0
