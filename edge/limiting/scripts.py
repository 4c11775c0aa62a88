"""What runs inside Redis: exact sliding windows as lists of moments, whose clock is Redis's own.

A window is a list with the microsecond of every admission in it, oldest first, so no span of its length ever holds
more than the quota, and what has left the span makes room at once. It holds what was used, at most the quota, in some
eleven bytes each, and vanishes one span after the last admission. The expired head is found by doubling steps: the
cost of a check does not grow with the number of those who expired.

That clock can be set back. A window whose newest admission is then more than a second ahead of it begins anew: all of
them would count until the clock has caught up with them. And no window makes anybody wait for longer than it is.

The epoch is a key that is lost with all others: when it changes, the edges know that Redis has forgotten.
"""

from __future__ import annotations

EPOCH = "window-epoch"

_PUSH = """
local function push(name, stamp, count)
  if count == 1 then
    redis.call('RPUSH', name, stamp)
    return
  end
  while count > 0 do
    local stamps = {}
    for index = 1, math.min(count, 1000) do
      stamps[index] = stamp
    end
    redis.call('RPUSH', name, unpack(stamps))
    count = count - #stamps
  end
end
"""

TAKE = (
    _PUSH
    + """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local stamp = string.format('%.0f', now)
local asked, epoch = cmsgpack.unpack(ARGV[1]), ''
if asked[1] == 1 then
  epoch = redis.call('GET', KEYS[1])
  if not epoch then
    epoch = stamp
    redis.call('SET', KEYS[1], epoch)
  end
end
local windows, answer = {}, {epoch}

local function look(name, quota, window)
  local used, oldest, limit = redis.call('LLEN', name), now, now - window
  if used > 0 then
    oldest = tonumber(redis.call('LINDEX', name, 0))
  end
  local newest = used > 1 and tonumber(redis.call('LINDEX', name, -1)) or oldest
  if newest > now + 1000000 then
    redis.call('DEL', name)
    used, oldest = 0, now
  end
  if oldest <= limit then
    local low, high, step = 1, used, 1
    while low < high do
      local probe = math.min(low + step, high) - 1
      if tonumber(redis.call('LINDEX', name, probe)) <= limit then
        low, step = probe + 1, step * 2
      else
        high, step = probe, 1
      end
    end
    redis.call('LTRIM', name, low, -1)
    used = used - low
    oldest = used > 0 and tonumber(redis.call('LINDEX', name, 0)) or now
  end
  if used > quota then
    oldest = tonumber(redis.call('LINDEX', name, used - quota))
  end
  local one = {used = used, oldest = oldest, charged = 0, quota = quota, window = window}
  windows[name] = one
  return one
end

local at, key = 2, 2
while asked[at] do
  local admitted, first = asked[at], key
  key = key + asked[at + 1]
  at = at + 2
  for index = first, key - 1 do
    local name = KEYS[index]
    local one = windows[name] or look(name, asked[at], asked[at + 1] * 1000)
    admitted = math.max(0, math.min(admitted, one.quota - one.used))
    at = at + 2
  end
  answer[#answer + 1] = admitted
  for index = first, key - 1 do
    local one = windows[KEYS[index]]
    one.used, one.charged = one.used + admitted, one.charged + admitted
    answer[#answer + 1] = math.max(0, one.quota - one.used)
    answer[#answer + 1] = math.min(one.window, one.oldest + one.window - now)
  end
end

for name, one in pairs(windows) do
  if one.charged > 0 then
    push(name, stamp, one.charged)
    redis.call('PEXPIRE', name, one.window / 1000)
  end
end
return cmsgpack.pack(answer)
"""
)
"""KEYS: the epoch, then every window of every group. ARGV: one list in MessagePack, which costs less than as many
arguments: 1 to read the epoch, else 0; then per group how many ask and how many windows it has; then per window the
quota and the span in milliseconds. Answers a list packed likewise: the epoch; then per group how many are admitted, and
per window what remains and in how many microseconds there is more."""

CHARGE = (
    _PUSH
    + """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local at = 1
for _, name in ipairs(KEYS) do
  local window, pairs_left = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  local last = tonumber(redis.call('LINDEX', name, -1) or 0)
  if last > now + 1000000 then
    redis.call('DEL', name)
    last = 0
  end
  for _ = 1, pairs_left do
    last = math.max(last, now - ARGV[at])
    push(name, string.format('%.0f', last), tonumber(ARGV[at + 1]))
    at = at + 2
  end
  redis.call('PEXPIRE', name, window / 1000)
end
return redis.status_reply('OK')
"""
)
"""Adds what an edge admitted by itself. KEYS: windows. ARGV: per window its span, then how many pairs follow; then the
pairs: how long ago, in microseconds, and how many. A list stays in order: what comes late counts a little longer."""
