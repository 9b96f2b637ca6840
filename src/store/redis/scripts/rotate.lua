-- Rotates a session's token, tells the successor it has, or ends the session whose rotated token is used again.
local r = load_or_expire(session.id, session.used)
if r.kind == 'newer' then return {'newer', r.f} end
if r.kind ~= 'live' and r.kind ~= 'ended' or not within(r, scope) then return {'unknown'} end
local what = token_status(r, presented)
if what == 'never' then return {'unknown'} end
if r.kind == 'ended' then return refusal(r, scope) end
if r.t == hash and r.h == presented then return {'done', now, whole(r)} end
if what == 'present' or (what == 'reused' and is_lost(r, presented)) then
  swap_token(r, presented, hash, sealed, now, grace, by)
  return {'done', now, whole(r)}
end
if what == 'previous' then return {'before', now, whole(r)} end
if what == 'late' then return {'unknown'} end
local last = whole(r)
end_session(r, 'token_reuse', now, by)
return {'reused', now, last}
