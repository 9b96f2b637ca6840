-- Ends sessions, where a version or moment is named only those that were not changed or used since.
local endings, ended = {}, {}
for _, seen in ipairs(sessions) do
  local r, over = load_or_ending(seen.id, seen.used)
  if over then
    endings[#endings + 1] = over
  elseif again and ended_so(r, reason, by) then
    ended[#ended + 1] = r.id
  elseif r.kind == 'live' and (not seen.version or r.v == seen.version)
    and (not seen.last_used or r.u <= seen.last_used) then
    endings[#endings + 1], ended[#ended + 1] = ending(r, reason, now, by, detail), r.id
  end
end
end_sessions(endings)
return {'done', now, table.concat(ended)}
