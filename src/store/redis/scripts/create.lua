-- Opens a session.
local r = {id = arg(), t = arg(), c = arg(), l = arg(), k = arg(), o = arg()}
local mark, grace = arg(), tonumber(arg())
local idle_timeout, max_age = tonumber(arg()), tonumber(arg())
local device, max, per_device, overflow = arg(), tonumber(arg()), arg() == '1', arg()
local fields = {}
for _ = 1, tonumber(arg()) do fields[#fields + 1] = arg() end
local used = {}
for _ = 1, tonumber(arg()) do
  local id = arg()
  used[id] = tonumber(arg())
end

local again = repeated(mark, '', used[r.id])
if again then return again end
local login = tag .. 'l:' .. r.k
local size = redis.call('ZCARD', login)
local before = meet(r.id, used[r.id])
if before.kind == 'newer' then return {'newer', before.f} end
if before.kind == 'live' and before.t == r.t and (before.c or '') == r.c then
  return {'again', now, whole(before), '0', '', '', ''}
end
if before.kind ~= 'none' and before.kind ~= 'over' then return {'in_use'} end
local newer = newer_ban(r.k)
if newer then return newer end
if ban_of(r.k, r.l) then return {'banned'} end

local function counted()
  local live = {}
  for _, id in ipairs(redis.call('ZRANGE', login, 0, -1)) do
    local s = meet(id, used[id])
    if s.kind == 'live' then
      if s.l == r.l and (not per_device or (s.D or '') == device) then live[#live + 1] = s end
    elseif s.kind ~= 'newer' then
      unlink(id, r.k)
    end
  end
  return live
end

local out = {}
if max and size >= max then
  local live = counted()
  if #live >= max then
    if max == 0 or overflow == 'refuse' then return {'full'} end
    local age = overflow == 'oldest' and 'b' or 'u'
    table.sort(live, function(a, b)
      if a[age] ~= b[age] then return a[age] < b[age] end
      return a.id < b.id
    end)
    for at = 1, #live + 1 - max do
      finish(live[at], 'replaced', now, r.o)
      out[#out + 1] = live[at].id
    end
  end
end

local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end

local key = tag .. 's:' .. r.id
local ends = math.min(now + idle_timeout, now + max_age)
redis.call('DEL', key)
redis.call('HSET', key, 'f', FORMAT, 'd', r.id, 'o', r.o, 't', r.t, 'l', r.l, 'k', r.k, 'v', 1,
  'b', now, 'u', now, 'i', ends, 'm', now + max_age, 'p', idle_timeout, unpack(fields))
redis.call('PEXPIRE', key, max_age + grace)
redis.call('ZADD', login, 0, r.id)
redis.call('ZADD', ids, 0, r.id)
redis.call('ZADD', expiries, ends, r.id)
keep(login, max_age + grace)
keep(ids, max_age + grace)
keep(expiries, max_age + grace)
emit('c', now, r, device ~= '' and {'d', device} or {})
remember(mark, {'d', r.id, 'e', table.concat(out)})
return {'done', now, table.concat(out)}
