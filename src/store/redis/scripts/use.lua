-- Writes uses that were noted before. They revive nothing.
for _ = 1, tonumber(arg()) do
  local r, at = load(arg()), tonumber(arg())
  if r.kind == 'live' and count_use(r, at) then
    redis.call('HSET', r.key, 'u', r.u, 'i', r.i)
  end
end
return {'done'}
