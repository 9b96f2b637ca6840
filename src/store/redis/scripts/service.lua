-- Puts a service's record in the place of the one it was decided from, with its event; otherwise tells what stands there.
-- KEYS[4]: the records.
local id, old, new, change, by, at = arg(), arg(), arg(), arg(), arg(), arg()
local held = redis.call('HGET', KEYS[4], id)
if (held or '') ~= old then return {'stale', held} end
if new == '' then
  redis.call('HDEL', KEYS[4], id)
else
  redis.call('HSET', KEYS[4], id, new)
end
emit('s', at, {o = id}, 'k', change, 'b', by)
return {'done'}
