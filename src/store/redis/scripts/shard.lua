-- What all scripts on one hash tag share. Whatever can fail comes before the first write: an error rolls nothing back.
-- KEYS: 1 ids, 2 expiries, 3 events; all other keys are made under the same tag.
-- ARGV: 1 see clock, 2 and 3 how long tombstones and events are kept, in ms, 4 the channel of events, 5 the node whose
-- operation this is; arg() reads the rest one by one.
local FORMAT = '1'
local MARK_KEPT = 24 * 60 * 60 * 1000
local ids, expiries, events = KEYS[1], KEYS[2], KEYS[3]
local tombstone_kept, events_kept = tonumber(ARGV[2]), tonumber(ARGV[3])
local tag = string.sub(ids, 1, -2)
local node = ARGV[5]

local taken = 5
local function arg()
  taken = taken + 1
  return ARGV[taken]
end

-- A key that is never there: while a slot is moved to another master, Redis refuses to look for what is not (any more)
-- in it. So no script takes a session that has moved for one that is gone, or stops between two writes.
redis.call('EXISTS', tag .. '-')
redis.call('ZCARD', ids)
redis.call('ZCARD', expiries)
-- Time never goes back behind the last event, so that its successor can always be appended.
local newest = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
if newest then now = math.max(now, tonumber(string.match(newest[1], '^%d+'))) end

-- The newest event that was kept long enough. Trimming stops before it: it tells what is gone.
-- XREVRANGE from before the first event would walk through all of them.
local function newest_over()
  local kept_since = math.max(0, now - events_kept)
  local oldest = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  if not oldest or tonumber(string.match(oldest[1], '^%d+')) > kept_since then return end
  return redis.call('XREVRANGE', events, kept_since, '-', 'COUNT', 1)[1]
end

local last_event = newest and newest[1] or ''

-- Listeners are told what stood before the event, so that they notice if they missed it.
local function emit(kind, at, r, more)
  local fields = {'t', kind, 'a', at, 'o', r.o, 'g', node}
  if r.id then
    for _, part in ipairs({'s', r.id, 'l', r.l}) do fields[#fields + 1] = part end
  end
  for _, part in ipairs(more) do fields[#fields + 1] = part end
  local entry = {events}
  local over = newest_over()
  if over then
    for _, part in ipairs({'MINID', '~', over[1]}) do entry[#entry + 1] = part end
  end
  entry[#entry + 1] = string.format('%.0f-*', now)
  for _, part in ipairs(fields) do entry[#entry + 1] = part end
  local id = redis.call('XADD', unpack(entry))
  redis.call('PEXPIRE', events, 2 * events_kept)
  say(ARGV[4], {'event', string.match(tag, '{(%w+)}:$'), last_event, id}, fields)
  last_event = id
end
