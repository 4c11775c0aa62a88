-- How a cart remembers operations that came with a key; stands before each script that touches that.
-- A hash has for each operation the fingerprint under which it changed the cart (empty if it did not), a bar, and the
-- answer (empty until there is one); beside them 'bytes', which is what all of them take. A sorted set has the same
-- operations by the second in which they were written last.
local OVERHEAD = 250 -- bytes of Redis's own for a field here and a member there

local function write_record(records, order, operation, record, now, memory)
  local before = redis.call('HGET', records, operation)
  redis.call('HSET', records, operation, record)
  redis.call('HINCRBY', records, 'bytes', #record - (before and #before or -OVERHEAD))
  redis.call('ZADD', order, now, operation)
  redis.call('EXPIRE', records, memory)
  redis.call('EXPIRE', order, memory)
end

local function drop_record(records, order, operation)
  local before = redis.call('HGET', records, operation)
  if before then
    redis.call('HDEL', records, operation)
    redis.call('HINCRBY', records, 'bytes', -(#before + OVERHEAD))
  end
  redis.call('ZREM', order, operation)
end

-- A record without an answer tells of the cart that lies beside it, and goes when that goes.
local function drop_unanswered(records, order)
  local all = redis.call('HGETALL', records)
  for at = 1, #all, 2 do
    if string.match(all[at + 1], '^%x*|$') then
      drop_record(records, order, all[at])
    end
  end
end

