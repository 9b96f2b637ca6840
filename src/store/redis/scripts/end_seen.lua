-- Ends sessions, where a version or moment is named only those that were not changed or used since.
local by, reason = arg(), arg()
local ended = {}
for _ = 1, tonumber(arg()) do
  local id, used, version, last_used = arg(), tonumber(arg()), arg(), tonumber(arg())
  local r = meet(id, used)
  if r.kind == 'live' and (version == '' or string.format('%.0f', r.v) == version)
    and (not last_used or r.u <= last_used) then
    finish(r, reason, now, by)
    ended[#ended + 1] = id
  end
end
return {'done', now, table.concat(ended)}
