-- Profiles: one hash a login, with the load of it that is under way and what the last one without a profile came to.
-- The moments in it decide, not its TTL. Fields: l login id, v details, t their TTL in ms, e when they expire, q until
-- when they are kept; n ticket of a load, u end of its lease; m what a load came to, w until when that is told.
local login_key, login = arg(), arg()
local key = tag .. 'p:' .. login_key
local held = redis.call('HMGET', key, 'f', 'l', 't', 'e', 'q', 'n', 'u', 'm', 'w')
if held[1] and held[1] ~= FORMAT then return {'newer', held[1]} end
if held[2] ~= login then held = {} end
local lifetime, loaded_by, came_to = held[3], held[6], held[8]
local expiry, kept_until = tonumber(held[4] or 0), tonumber(held[5] or 0)
local leased_until, told_until = tonumber(held[7] or 0), tonumber(held[9] or 0)
local kept, fresh = now < kept_until, now < expiry

-- What is kept, behind a word.
local function profile(word)
  return {word, redis.call('HGET', key, 'v'), lifetime, expiry}
end

-- Puts a profile in the place of all there is.
local function keep(details, ttl, stale_for)
  local expires = now + ttl
  redis.call('DEL', key)
  redis.call('HSET', key, 'f', FORMAT, 'l', login, 'v', details, 't', ttl, 'e', expires, 'q', expires + stale_for)
  redis.call('PEXPIRE', key, math.max(1, ttl + stale_for))
  return {'kept', details, ttl, expires}
end

-- Writes a field and its moment beside a profile that is kept, and takes two others away.
local function note(field, value, moment, ends, over, moment_over)
  if kept then
    redis.call('HDEL', key, over, moment_over)
  else
    redis.call('DEL', key)
    kept_until = 0
  end
  redis.call('HSET', key, 'f', FORMAT, 'l', login, field, value, moment, ends)
  redis.call('PEXPIRE', key, math.max(1, math.max(kept_until, ends) - now))
end
