-- Says on the channel that this master takes writes, which of some keys it serves, and whether it still has what the
-- heartbeat before wrote. KEYS[1]: what is written.
local has_last = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], '', 'PX', kept)
local served = {}
for at, key in ipairs(asked_for) do
  local found = redis.pcall('EXISTS', key)
  served[at] = type(found) == 'number' and '1' or '0'
end
publish(channel, 'beat', node, number, table.concat(served), format, has_last)
return {'done'}
