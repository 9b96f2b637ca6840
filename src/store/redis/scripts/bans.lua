-- Bans: one hash a login, under the key of its sessions. The moments in it decide, not its TTL.
local function ban_key(login_key)
  return tag .. 'm:' .. login_key
end

-- The ban of a login that is in force: until when, why, since when, by whom. Before it the answer if what is held has a
-- format that this version does not know.
local function find_ban(login_key, login)
  local held = redis.call('HMGET', ban_key(login_key), 'f', 'l', 'q', 'w', 'a', 'y')
  if held[1] and not reads(held[1]) then return {'newer', held[1]} end
  local ends = tonumber(held[3])
  if held[2] ~= login or (ends and now >= ends) then return end
  return nil, {held[3], held[4], held[5], held[6]}
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
