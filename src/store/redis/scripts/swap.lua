-- Puts a value in the place of another, for a time; nothing in its place removes it. KEYS[1]: the key.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return {'stale'} end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return {'done'}
