-- Takes a sign of life.
local r, against = reach(target)
if against then return against end
touch(r, now)
local changes = r.s ~= 'a'
if changes then r.v = r.v + 1 end
redis.call('HSET', r.key, unpack(with({'u', r.u, 'i', r.i, 's', 'a', 'v', r.v}, 'T', stats)))
if changes then tell_change(target, r, '', 'state') end
return done(target, r, 0)
