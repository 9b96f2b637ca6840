-- Rotates again what a failover has taken back: the same successor and moment. All else is left alone.
local again = 0
for _ = 1, tonumber(arg()) do
  local r, presented, hash, sealed = load(arg()), arg(), arg(), arg()
  local at, grace, actor = tonumber(arg()), tonumber(arg()), arg()
  if r.kind == 'live' and r.t == presented then
    turn(r, hash, sealed, at, grace, actor)
    again = again + 1
  end
end
return {'done', again}
