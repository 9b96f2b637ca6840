-- Ends those of a login's sessions that are wanted.
local endings, ended, gone = {}, {}, {}
for _, session in ipairs(sessions) do
  local r, over = load_or_ending(session.id, session.used)
  if over then
    endings[#endings + 1] = over
  elseif again and ended_so(r, reason, by) then
    ended[#ended + 1] = r.id
  elseif r.kind == 'none' or r.kind == 'foreign' or (r.kind == 'ended' and now >= r.q) then
    gone[#gone + 1] = r.id
  elseif r.kind == 'live' and r.l == login and r.b <= moment and r.id ~= except
    and within(r, scope) and (not device or r.D == device) then
    endings[#endings + 1], ended[#ended + 1] = ending(r, reason, now, by, detail), r.id
  end
end
unlink(gone, login_key)
end_sessions(endings)
return {'done', now, table.concat(ended)}
