-- Moves the idle expiry, also to an earlier moment.
local r, against = target()
if against then return against end
local ttl = tonumber(arg()) or r.p
local before = r.i
r.u = math.max(r.u, now)
r.i = math.min(now + ttl, r.m)
redis.call('HSET', r.key, 'u', r.u, 'i', r.i)
if r.i < before then
  redis.call('ZADD', expiries, 'LT', r.i, r.id)
  tell_change(r, '', 'expires_at')
end
return done(r, 0)
