-- Ends those of a login's sessions that are wanted.
local login_key, login, scope, by, reason = arg(), arg(), arg(), arg(), arg()
local detail, except, device, moment = arg(), arg(), arg(), tonumber(arg())
local ended = {}
for _ = 1, tonumber(arg()) do
  local r = meet(arg(), tonumber(arg()))
  if r.kind == 'none' or r.kind == 'foreign' or r.kind == 'over' then
    unlink(r.id, login_key)
  elseif r.kind == 'live' and r.l == login and r.b <= moment and r.id ~= except
    and (scope == '' or r.o == scope) and (device == '' or r.D == device) then
    finish(r, reason, now, by, detail ~= '' and detail or nil)
    ended[#ended + 1] = r.id
  end
end
return {'done', now, table.concat(ended)}
