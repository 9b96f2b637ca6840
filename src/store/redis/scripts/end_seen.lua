-- Ends sessions, where a version or moment is named only those that were not changed or used since.
local ended = {}
for _, seen in ipairs(sessions) do
  local r = load_or_expire(seen.id, seen.used)
  if r.kind == 'live' and (not seen.version or r.v == seen.version)
    and (not seen.last_used or r.u <= seen.last_used) then
    end_session(r, reason, now, by, detail)
    ended[#ended + 1] = r.id
  end
end
return {'done', now, table.concat(ended)}
