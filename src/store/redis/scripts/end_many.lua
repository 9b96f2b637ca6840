-- Ends those of a login's sessions that are wanted.
local ended = {}
for _, session in ipairs(sessions) do
  local r = load_or_expire(session.id, session.used)
  if r.kind == 'none' or r.kind == 'foreign' or r.kind == 'over' then
    unlink(r.id, login_key)
  elseif r.kind == 'live' and r.l == login and r.b <= moment and r.id ~= except
    and (not scope or r.o == scope) and (not device or r.D == device) then
    end_session(r, reason, now, by, detail)
    ended[#ended + 1] = r.id
  end
end
return {'done', now, table.concat(ended)}
