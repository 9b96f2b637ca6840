-- Events after a position (none: from the oldest that is kept), the newest that is over, the newest of all, and the last
-- that stands at the position or before it.
local over = newest_over()
local after = position or over and over[1]

local function is_beyond(event)
  local ms, number = string.match(after, '^(%d+)-(%d+)$')
  local own_ms, own_number = string.match(event[1], '^(%d+)-(%d+)$')
  if own_ms ~= ms then return tonumber(own_ms) > tonumber(ms) end
  return tonumber(own_number) > tonumber(number)
end

-- XREVRANGE from before the first event would walk through all of them.
local function last_before()
  if not after or not newest then return end
  if not is_beyond(newest) then return newest end
  local oldest = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  return not is_beyond(oldest) and redis.call('XREVRANGE', events, after, '-', 'COUNT', 1)[1]
end

local last = last_before()
local entries = {}
if most > 0 then entries = redis.call('XRANGE', events, after and '(' .. after or '-', '+', 'COUNT', most) end
return {'done', now, over and over[1] or '', newest and newest[1] or '', last and last[1] or '', entries}
