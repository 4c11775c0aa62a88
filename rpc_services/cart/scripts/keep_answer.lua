-- Keeps the answer of an operation beside those of the same cart, and lets the oldest go when there are too many.
-- KEYS: the hash of answers, the list of their operations, the mark that the operation runs.
-- ARGV: operation, answer, how many are kept, for how many seconds.
if redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  redis.call('RPUSH', KEYS[2], ARGV[1])
  if redis.call('LLEN', KEYS[2]) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], redis.call('LPOP', KEYS[2]))
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return redis.call('DEL', KEYS[3])
