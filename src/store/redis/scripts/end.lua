-- Ends one session for good; with a hash only if that is of a good token of it.
local r, against = target()
if against then return against end
local reason, hash = arg(), arg()
if hash ~= '' and not good(r, hash) then return {'unknown'} end
local last = whole(r)
finish(r, reason, now, by)
return {'done', now, last}
