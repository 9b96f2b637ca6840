-- Ends again what a failover has brought back to life: the same reason, moment and actor. All else is left alone.
-- They were counted when they ended first: now they are nobody's.
node = ''
local again = 0
for _ = 1, tonumber(arg()) do
  local r, reason, at, by, detail = load(arg()), arg(), tonumber(arg()), arg(), arg()
  if r.kind == 'live' then
    finish(r, reason, at, by ~= '' and by or nil, detail ~= '' and detail or nil)
    again = again + 1
  end
end
return {'done', again}
