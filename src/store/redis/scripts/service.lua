-- Puts a service's record in the place of the one it was decided from, with its event; otherwise tells what stands there.
local records = tag .. 'r'
local there = redis.call('HGET', records, id)
if (there or '') ~= held then return {'stale', there} end
-- Kept for longer than the clocks of gateways are apart.
local removal = tag .. 'g'
local last = registered and tonumber(redis.call('GET', removal))
if last and registered <= last then return {'early', last} end
if removed then redis.call('SET', removal, removed, 'PX', 60000) end
if new == '' then
  redis.call('HDEL', records, id)
else
  redis.call('HSET', records, id, new)
end
emit('s', at, {o = id}, 'k', change, 'b', by)
return {'done'}
