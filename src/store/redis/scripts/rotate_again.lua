-- Rotates again what a failover has taken back: the same successor and moment. All else is left alone.
local again = 0
for _, made in ipairs(rotations) do
  local r = load(made.id)
  local lost = is_lost(r, made.presented) and made.at > tonumber(redis.call('HGET', r.key, 'R'))
  if r.kind == 'live' and (r.t == made.presented or lost) then
    swap_token(r, made.presented, made.hash, made.sealed, made.at, made.grace, made.by)
    again = again + 1
  end
end
return {'done', again}
