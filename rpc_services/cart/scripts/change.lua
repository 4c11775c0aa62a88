-- Changes one cart in one step. KEYS[1] is its hash, KEYS[2] and KEYS[3] are records of operations and their order;
-- ARGV[1] is a JSON object that says what is wanted.
-- Gives {outcome, details, the whole hash as it is now}. Ids travel as strings: a Lua number is a double.
-- The hash holds id, version, closed_by, operations, settled, expires_at, trail (see below; not in what the last version
-- wrote), and for each product q:<id> (how many) and s:<id> (when it was first added, a bar, and the snapshot).
local FIXED_FIELDS = 6
local SHORTEST_TRAIL, LONGEST_TRAIL = 4, 64

local key = KEYS[1]
local ask = cjson.decode(ARGV[1])

local function field(name)
  return redis.call('HGET', key, name)
end

local version = tonumber(field('version') or '0')
local stored_version = tonumber(ask.stored_version or '0')
if version == 0 or version < stored_version then
  drop_unanswered(KEYS[2], KEYS[3])
  if ask.stored then
    redis.call('DEL', key)
    redis.call('HSET', key, unpack(ask.stored))
    redis.call('PEXPIREAT', key, ask.stored_expires_at) -- which deletes it at once if that is over by this clock
    version = tonumber(field('version') or '0')
  end
end
local exists = version > 0

local function answer(outcome, ...)
  return { outcome, { ... }, redis.call('HGETALL', key) }
end

-- The last changes that led to the cart as it is, newest first.
local function marks()
  local found = {}
  for mark in string.gmatch(string.match(field('trail') or '', '^' .. version .. ' (.*)$') or '', '%S+') do
    table.insert(found, mark)
  end
  return found
end

-- The fingerprint of the operation if it is among the changes that the journal did not have when it was asked; whether
-- some of those are beyond the trail.
local function since_asked()
  local found = version > stored_version and marks() or {}
  for at = 1, math.min(#found, version - stored_version) do
    local fingerprint = string.match(found[at], '^' .. ask.effect .. ':(%x+)')
    if fingerprint then
      return fingerprint, false
    end
  end
  return nil, 0 < #found and #found < version - stored_version
end

-- Answers with a state that somebody else made. If it may not be journalled yet, then whoever asks now journals it, so it
-- is marked: who made it cannot take it back any more.
local function answer_shared(outcome, ...)
  local made_by = field('trail') or ''
  if version > stored_version and string.match(made_by, '^' .. version .. ' .*%S$') then
    redis.call('HSET', key, 'trail', made_by .. ' ')
  end
  return answer(outcome, ...)
end

if ask.verb == 'look' and not ask.operation then
  return answer('done')
end
if not exists and not ask.opens then
  return answer('no_cart')
end

local memory = ask.settles and 'settled' or 'operations'
local remembered = field(memory) or ''
if ask.operation ~= '' and exists then
  local record = ask.keyed and redis.call('HGET', KEYS[2], ask.operation)
  local seen = record and string.match(record, '^(%x+)|')
    or string.match(' ' .. remembered .. ' ', ' ' .. ask.operation .. ':(%x*) ')
  local is_beyond = false
  if ask.keyed and not seen then
    seen = string.match(ask.known, '%x+')
    if not seen then
      seen, is_beyond = since_asked()
    end
  end
  if is_beyond then
    return answer('asked_too_early')
  end
  if seen then
    return answer_shared(seen == ask.fingerprint and 'replayed' or 'key_reused')
  end
end

if ask.verb == 'look' then
  return answer('done')
end

local closed_by = field('closed_by') or ''
if closed_by ~= '' then
  return answer((ask.verb == 'close' and closed_by == ask.closed_by) and 'done' or 'closed')
end
if ask.expected_version ~= '' and tonumber(ask.expected_version) ~= version then
  return answer('stale', tostring(version))
end

local count = exists and (redis.call('HLEN', key) - FIXED_FIELDS - redis.call('HEXISTS', key, 'trail')) / 2 or 0
local changed = false

local function quantity_of(id)
  return tonumber(field('q:' .. id) or '0')
end

local function put(id, quantity, snapshot)
  redis.call('HSET', key, 'q:' .. id, quantity)
  if snapshot then
    local first_added = string.match(field('s:' .. id) or '', '^%d+|') or (ask.now .. '|')
    redis.call('HSET', key, 's:' .. id, first_added .. snapshot)
  end
  changed = true
end

local function drop(id)
  redis.call('HDEL', key, 'q:' .. id, 's:' .. id)
  changed = true
end

local refused = {}
local verbs = {}

function verbs.add(line)
  local before = quantity_of(line.id)
  local after = before + line.quantity
  if after > ask.max_quantity then
    return answer('limit', line.id, tostring(after), tostring(ask.max_quantity))
  end
  if before == 0 and count >= ask.max_lines then
    return answer('limit', line.id, tostring(count + 1), tostring(ask.max_lines))
  end
  put(line.id, after, line.snapshot)
end

function verbs.set(line)
  local before = quantity_of(line.id)
  if before == 0 then
    return answer('no_item', line.id)
  end
  if line.quantity > ask.max_quantity then
    return answer('limit', line.id, tostring(line.quantity), tostring(ask.max_quantity))
  end
  if line.quantity ~= before then
    put(line.id, line.quantity)
  end
end

function verbs.remove(line)
  if quantity_of(line.id) == 0 then
    return answer('no_item', line.id)
  end
  drop(line.id)
end

function verbs.subtract(line)
  local before = quantity_of(line.id)
  if before > line.quantity then
    put(line.id, before - line.quantity)
  elseif before > 0 then
    drop(line.id)
  end
end

function verbs.merge(line)
  local before = quantity_of(line.id)
  if before == 0 and count >= ask.max_lines then
    table.insert(refused, line.id)
  elseif before == 0 then
    put(line.id, line.quantity, line.snapshot)
    count = count + 1
  elseif line.quantity > before then
    put(line.id, line.quantity)
  end
end

if ask.verb == 'clear' then
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 2) == 'q:' then
      drop(string.sub(name, 3))
    end
  end
elseif ask.verb == 'close' then
  closed_by = ask.closed_by
  changed = true
else
  for _, line in ipairs(ask.lines) do
    local refusal = verbs[ask.verb](line)
    if refusal then
      return refusal
    end
  end
end

if ask.keyed then
  write_record(KEYS[2], KEYS[3], ask.operation, ask.fingerprint .. '|', tonumber(ask.now) / 1000000, ask.memory)
elseif ask.operation ~= '' then
  remembered = remembered .. ' ' .. ask.operation .. ':' .. ask.fingerprint
  local _, size = string.gsub(remembered, '%S+', '')
  if size > ask.max_remembered then
    remembered = string.match(remembered, '^%s*%S+%s+(.*)$')
  end
end

-- Names this run of this change, and its effect if it has a key. The same change made elsewhere has another mark.
local function mark()
  return (ask.keyed and (ask.effect .. ':' .. ask.fingerprint .. '.') or '') .. string.sub(ask.new_id, -8)
end

-- The next version and the changes that lead to it: by them states of one history can be told from those of another, and
-- whoever journals this one knows which effects are in it. It goes back to what is journalled.
local function trail()
  local length = math.min(LONGEST_TRAIL, math.max(SHORTEST_TRAIL, version + 2 - stored_version))
  local made_by = marks()
  table.insert(made_by, 1, mark())
  return (version + 1) .. ' ' .. table.concat(made_by, ' ', 1, math.min(length, #made_by))
end

-- What settles an order or a merge counts as a change even if no line did: the journal must keep that it happened.
if changed or ask.settles then
  local other = ask.settles and 'operations' or 'settled'
  redis.call('HSET', key, 'id', exists and field('id') or ask.new_id, 'version', version + 1, 'closed_by', closed_by,
    memory, remembered, other, field(other) or '', 'expires_at', ask.expires_at, 'trail', trail())
  redis.call('PEXPIREAT', key, ask.expires_at)
  return answer('done', unpack(refused))
end
if exists and not ask.keyed then
  redis.call('HSET', key, memory, remembered)
end
return answer_shared('done', unpack(refused))
