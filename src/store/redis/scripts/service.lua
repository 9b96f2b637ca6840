-- Puts a service's record in the place of the one it was decided from, with its event; otherwise tells what stands there.
local records = tag .. 'r'
local there = redis.call('HGET', records, id)
if (there or '') ~= held then return {'stale', there} end
if new == '' then
  redis.call('HDEL', records, id)
else
  redis.call('HSET', records, id, new)
end
emit('s', at, {o = id}, 'k', change, 'b', by)
return {'done'}
