-- Moves the idle expiry, also to an earlier moment.
local r, against = reach(target)
if against then return against end
local before = r.i
r.u = math.max(r.u, now)
r.i = math.min(now + (ttl or r.p), r.m)
redis.call('HSET', r.key, 'u', r.u, 'i', r.i)
if r.i < before then
  redis.call('ZADD', expiries, 'LT', r.i, r.id)
  tell_change(target, r, '', 'expires_at')
end
return done(target, r, 0)
