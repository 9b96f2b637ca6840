-- Writes uses that were noted before. They revive nothing. There are many of them, so of a record only that is read
-- which tells that it lives, and how.
local function life_of(id)
  local r = {key = tag .. 's:' .. id}
  local got = redis.pcall('HMGET', r.key, 'f', 'd', 'r', 'u', 'i', 'p', 'm')
  if got.err or not reads(got[1]) or got[2] ~= id or got[3] then return end
  r.u, r.i, r.p, r.m = tonumber(got[4]), tonumber(got[5]), tonumber(got[6]), tonumber(got[7])
  return r.u and r.i and r.p and r.m and r
end

for _, use in ipairs(uses) do
  local r = life_of(use.id)
  if r and count_use(r, use.at) then redis.call('HSET', r.key, 'u', r.u, 'i', r.i) end
end
return {'done'}
