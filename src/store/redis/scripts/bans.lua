-- Bans: one hash a login, under the key of its sessions. The moments in it decide, not its TTL.
local function ban_key(login_key)
  return tag .. 'm:' .. login_key
end

-- The format of what is held, if this version does not know it.
local function newer_ban(login_key)
  local format = redis.call('HGET', ban_key(login_key), 'f')
  if format and not reads(format) then return {'newer', format} end
end

-- The ban of a login that is in force: until when, why, since when, by whom.
local function ban_of(login_key, login)
  local held = redis.call('HMGET', ban_key(login_key), 'l', 'q', 'w', 'a', 'y')
  local ends = tonumber(held[2])
  if held[1] ~= login or (ends and now >= ends) then return end
  return {held[2], held[3], held[4], held[5]}
end

local function put_ban(login_key, login, ends, reason, at, by)
  local key = ban_key(login_key)
  redis.call('DEL', key)
  redis.call('HSET', key, 'f', FORMAT, 'l', login, 'q', ends or '', 'w', reason, 'a', at, 'y', by)
  if ends then redis.call('PEXPIRE', key, math.max(1, ends - now)) end
  emit('b', at, {o = by}, 'l', login, 'd', reason, 'b', by, 'q', ends)
end

local function drop_ban(login_key, login, at, by)
  redis.call('DEL', ban_key(login_key))
  emit('u', at, {o = by}, 'l', login, 'b', by)
end
