-- Judges one session by the server's own clock, writes the use of it that is known, and counts this one if asked to.
local r = load_or_expire(session.id, session.used)
if hash and not good(r, hash) then return {'unknown'} end
local against = refusal(r)
if against then return against end
if shown and r.Y and r.t == hash then redis.call('HDEL', r.key, 'Y') end
if touches then touch(r, now) end
if touches or session.used then redis.call('HSET', r.key, 'u', r.u, 'i', r.i) end
return {'done', now, whole(r)}
