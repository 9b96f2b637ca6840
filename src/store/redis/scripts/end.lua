-- Ends one session for good; with a hash only if that is of a good token of it.
local r, against = reach(target)
if against then return against end
if hash and not good(r, hash) then return {'unknown'} end
local last = whole(r)
end_session(r, reason, now, target.by)
return {'done', now, last}
