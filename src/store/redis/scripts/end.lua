-- Ends one session for good; with a hash only if that is its token's.
local r, against = target()
if against then return against end
local reason, hash = arg(), arg()
if hash ~= '' and r.t ~= hash then return {'unknown'} end
local last = whole(r)
finish(r, reason, now, by)
return {'done', now, last}
