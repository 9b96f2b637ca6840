-- Puts a service's record in the place of the one it was made from, with its event. KEYS[4]: the records.
local id, old, new, change, by, at = arg(), arg(), arg(), arg(), arg(), arg()
if (redis.call('HGET', KEYS[4], id) or '') ~= old then return {'stale'} end
if new == '' then
  redis.call('HDEL', KEYS[4], id)
else
  redis.call('HSET', KEYS[4], id, new)
end
emit('s', at, {o = id}, 'k', change, 'b', by)
return {'done'}
