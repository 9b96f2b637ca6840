-- What all scripts on one hash tag share. Whatever can fail comes before the first write: an error rolls nothing back.
-- KEYS: 1 ids, 2 expiries, 3 events; all other keys are made under the same tag.
local OPERATION_KEPT = 24 * 60 * 60 * 1000
local ids, expiries, events = KEYS[1], KEYS[2], KEYS[3]
local tombstone_kept, events_kept, channel = tonumber(arg()), tonumber(arg()), arg()
-- Whose operation this is.
local node = arg()
-- The format that is written, and the newest that is read.
local FORMAT, NEWEST = arg(), tonumber(arg())
local tag = string.sub(ids, 1, -2)

-- A key that is never there: while a slot is moved to another master, Redis refuses to look for what is not (any more)
-- in it. So no script takes a session that has moved for one that is gone, or stops between two writes.
redis.call('EXISTS', tag .. '-')
redis.call('ZCARD', ids)
redis.call('ZCARD', expiries)
-- Time never goes back behind the last event, so that its successor can always be appended.
local newest = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
local told = newest and tonumber(string.match(newest[1], '^%d+'))
if told then now = math.max(now, told) end

-- The newest event that was kept long enough. Trimming stops before it: it tells what is gone.
-- XREVRANGE from before the first event would walk through all of them.
local function newest_over()
  local kept_since = math.max(0, now - events_kept)
  local oldest = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  if not oldest or tonumber(string.match(oldest[1], '^%d+')) > kept_since then return end
  return redis.call('XREVRANGE', events, kept_since, '-', 'COUNT', 1)[1]
end

local function reads(format)
  local number = tonumber(format)
  return number and number >= 1 and number <= NEWEST
end

-- Old events go with the first of a second: one trimming finds enough, and under load there are many in a second.
local trims = not told or math.floor(now / 1000) > math.floor(told / 1000)
local function trim()
  local over = newest_over()
  if over then redis.call('XTRIM', events, 'MINID', '~', over[1]) end
  redis.call('PEXPIRE', events, 2 * events_kept)
  trims = false
end

local last_event = newest and newest[1] or ''

-- Adds names with their values to a list; a name without a value is left out.
local function with(list, ...)
  local more, last = {...}, #list
  for at = 1, select('#', ...), 2 do
    local value = more[at + 1]
    if value then
      list[last + 1], list[last + 2] = more[at], value
      last = last + 2
    end
  end
  return list
end

-- Listeners are told what stood before the event, so that they notice if they missed it.
local function emit(kind, at, r, ...)
  local fields = with({'t', kind, 'a', at, 'o', r.o, 'g', node}, 's', r.id, 'l', r.l, ...)
  local id = redis.call('XADD', events, string.format('%.0f-*', now), unpack(fields))
  if trims then trim() end
  publish(channel, 'event', string.match(tag, '{(%w+)}:$'), last_event, id, unpack(fields))
  last_event = id
end
