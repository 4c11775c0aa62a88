-- Keeps the answer of an operation, and that it runs no more.
-- KEYS: records, their order, the mark. ARGV: operation, answer, now, for how long records are kept (in seconds).
local before = redis.call('HGET', KEYS[1], ARGV[1])
local effect = before and string.match(before, '^%x*|') or '|'
write_record(KEYS[1], KEYS[2], ARGV[1], effect .. ARGV[2], ARGV[3], ARGV[4])
return redis.call('DEL', KEYS[3])
