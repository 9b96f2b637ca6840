-- Opens a session.
local r, used = session, {}
r.O = registration
for _, known in ipairs(uses) do used[known.id] = known.used end

local again = repeated(operation_id, nil, used[r.id])
if again then return again end
local login = tag .. 'l:' .. r.k
local key = tag .. 's:' .. r.id
local before = redis.call('EXISTS', key) == 1 and load_or_expire(r.id, used[r.id]) or {kind = 'none'}
if before.kind == 'newer' then return {'newer', before.f} end
if before.kind == 'live' and before.t == r.t and (before.c or nil) == r.c then
  return {'again', now, whole(before), '0', '', '', ''}
end
if before.kind ~= 'none' and before.kind ~= 'over' then return {'in_use'} end
-- Who waited for so long that its token was taken over opens nothing.
if r.c and redis.call('EXISTS', tag .. 'k:' .. r.id) == 1 then return {'in_use'} end
local size = redis.call('ZCARD', login)
local newer, ban = find_ban(r.k, r.l)
if newer then return newer end
if ban then return {'banned'} end

-- Of the oldest sessions, of which no more are looked at than are judged, those that a limit counts.
local function counted()
  local live, over, gone = {}, {}, {}
  for _, id in ipairs(redis.call('ZRANGE', login, 0, judged - 1)) do
    local s, ending = load_or_ending(id, used[id])
    if ending then
      over[#over + 1] = ending
    elseif s.kind == 'live' then
      if s.l == r.l and within(s, scope) and (not per_device or (s.D or nil) == device) then
        live[#live + 1] = s
      end
    elseif s.kind ~= 'newer' then
      gone[#gone + 1] = id
    end
  end
  unlink(gone, r.k)
  end_sessions(over)
  return live
end

local out = {}
if max and size >= max then
  local more = math.max(0, size - judged)
  if more > 0 and (scope or per_device or overflow ~= 'oldest') then return {'too_large'} end
  local live = counted()
  local room = max - 1 - more
  if room < 0 then return {more > 0 and 'too_large' or 'full'} end
  if #live > room and overflow == 'refuse' then return {'full'} end
  if more == 0 then
    local age = overflow == 'least_active' and 'u' or 'b'
    table.sort(live, function(a, b)
      if a[age] ~= b[age] then return a[age] < b[age] end
      return a.id < b.id
    end)
  end
  local endings = {}
  for at = 1, #live - room do
    endings[at], out[at] = ending(live[at], 'replaced', now, r.o), live[at].id
  end
  end_sessions(endings)
end

-- An eighth longer than it must: then not every session moves it.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms + math.floor(ms / 8)) end
end

local ends = math.min(now + idle_timeout, now + max_age)
if before.kind == 'over' then redis.call('DEL', key) end
redis.call('HSET', key, 'f', FORMAT, 'N', FORMAT, 'd', r.id, 'o', r.o, 't', r.t, 'l', r.l, 'k', r.k, 'v', 1,
  'b', now, 'u', now, 'i', ends, 'm', now + max_age, 'p', idle_timeout, unpack(with(fields, 'O', registration)))
redis.call('PEXPIRE', key, max_age + grace)
redis.call('ZADD', login, 0, r.id)
redis.call('ZADD', ids, 0, r.id)
redis.call('ZADD', expiries, ends, r.id)
for _, index in ipairs({login, ids, expiries, count(FORMAT, owner_of(r), 1)}) do keep(index, max_age + grace) end
emit('c', now, r, 'd', device)
remember(operation_id, 'd', r.id, 'e', table.concat(out))
return {'done', now, table.concat(out)}
