-- Writes a use that was noted before. It revives nothing.
local r = load(arg())
if r.kind == 'live' and count_use(r, tonumber(arg())) then
  redis.call('HSET', r.key, 'u', r.u, 'i', r.i)
end
return {'done'}
