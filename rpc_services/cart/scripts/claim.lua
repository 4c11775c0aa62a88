-- Tells how an operation was answered; if it was not, whether somebody runs it; if nobody does, marks it as running.
-- KEYS: records, their order, the mark. ARGV: operation, fingerprint, now, for how long records are kept, for how long a
-- mark stands (all in seconds), and how many bytes of records are too many.
-- Gives {the answer or '', the fingerprint of who runs it or '', seconds until there is room for it or 0}.
local records, order, mark = KEYS[1], KEYS[2], KEYS[3]
local operation, fingerprint, now, memory = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

for _, old in ipairs(redis.call('ZRANGE', order, '-inf', now - memory, 'BYSCORE')) do
  drop_record(records, order, old)
end

local record = redis.call('HGET', records, operation)
local answer = record and string.match(record, '^%x*|(.+)$')
if answer then
  return { answer, '', 0 }
end
local running = redis.call('GET', mark)
if running then
  return { '', running, 0 }
end
if not record and tonumber(redis.call('HGET', records, 'bytes') or '0') >= tonumber(ARGV[6]) then
  local oldest = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')[2]
  return { '', '', math.max(1, math.ceil(tonumber(oldest) + memory - now)) }
end
redis.call('SET', mark, fingerprint, 'EX', ARGV[5])
return { '', '', 0 }
