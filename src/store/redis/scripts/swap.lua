-- Puts a value in the place of another, for a time; nothing in its place removes it. KEYS[1]: the key.
local there = redis.call('GET', KEYS[1])
if there and there ~= held then return {'stale'} end
if new then
  redis.call('SET', KEYS[1], new, 'PX', kept)
else
  redis.call('DEL', KEYS[1])
end
return {'done'}
