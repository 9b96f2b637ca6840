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
local shard = string.match(tag, '{(%w+)}:$')

-- A key that is never there: while a slot is moved to another master, Redis refuses to look for what is not (any more)
-- in it. So no script takes a session that has moved for one that is gone, or stops between two writes.
redis.call('EXISTS', tag .. '-')
redis.call('ZCARD', ids)
redis.call('ZCARD', expiries)

-- Clocks differ by less. An event that is further ahead of now was appended by a clock that was wrong.
local AHEAD = 5 * 1000

local function stamp(event)
  return tonumber(string.match(event[1], '^%d+'))
end

-- When an event was appended, if it tells: its own moment does, unless that is ahead.
local function appended(event)
  if stamp(event) <= now + AHEAD then return stamp(event) end
  for at = 1, #event[2], 2 do
    if event[2][at] == 'z' then return tonumber(event[2][at + 1]) end
  end
end

-- Time does not go back behind the last event, unless that is ahead: then what follows takes the moment of that and the
-- next number, and tells when it was appended.
local newest = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
local told = newest and stamp(newest) or 0
if told <= now + AHEAD then now = math.max(now, told) end

-- The newest event that was kept long enough. Trimming stops before it: it tells what is gone.
-- Here of those that stand behind one that is ahead, all of which have its moment.
local function newest_over_ahead(kept_since)
  local over
  for _, event in ipairs(redis.call('XRANGE', events, string.format('%.0f', told), '+', 'COUNT', 500)) do
    local at = appended(event)
    if at and at > kept_since then break end
    over = at and event or over
  end
  return over
end

local function newest_over()
  local kept_since = math.max(0, now - events_kept)
  local over = told > now and newest_over_ahead(kept_since)
  if over then return over end
  -- XREVRANGE from before the first event would walk through all of them.
  local oldest = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  if not oldest or stamp(oldest) > kept_since then return end
  return redis.call('XREVRANGE', events, kept_since, '-', 'COUNT', 1)[1]
end

local function reads(format)
  local number = tonumber(format)
  return number and number >= 1 and number <= NEWEST
end

-- Old events go with the first of a second: one trimming finds enough, and under load there are many in a second.
local trims = not newest or math.floor(now / 1000) > math.floor((appended(newest) or 0) / 1000)
local function trim()
  local over = newest_over()
  if over then redis.call('XTRIM', events, 'MINID', '~', over[1]) end
  redis.call('PEXPIRE', events, 2 * events_kept)
  trims = false
end

local last_event = newest and newest[1] or ''
local next_event = string.format('%.0f-*', math.max(now, told))

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
  local fields = with({'t', kind, 'a', at, 'o', r.o, 'g', node}, 'z', told > now and now, 's', r.id, 'l', r.l, ...)
  local id = redis.call('XADD', events, next_event, unpack(fields))
  if trims then trim() end
  publish(channel, 'event', shard, last_event, id, unpack(fields))
  last_event = id
end
