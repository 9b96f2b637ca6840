-- Rotates again what a failover has taken back: the same successor and moment. All else is left alone.
local again = 0
for _, made in ipairs(rotations) do
  local r = load(made.id)
  if r.kind == 'live' and r.t == made.presented then
    swap_token(r, made.hash, made.sealed, made.at, made.grace, made.by)
    again = again + 1
  end
end
return {'done', again}
