-- Takes a cart out of Redis if it is still at the version that could not be journalled: the journal's state counts.
if redis.call('HGET', KEYS[1], 'version') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
