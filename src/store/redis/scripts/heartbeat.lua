-- Takes a sign of life.
local r, against = target()
if against then return against end
local stats = arg()
touch(r, now)
local changes = r.s ~= 'a'
if changes then r.v = r.v + 1 end
redis.call('HSET', r.key, 'u', r.u, 'i', r.i, 's', 'a', 'v', r.v)
if stats ~= '' then redis.call('HSET', r.key, 'T', stats) end
if changes then tell_change(r, '', 'state') end
return done(r, 0)
