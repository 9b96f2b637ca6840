-- Says on the channel that this master takes writes, and which of some keys it serves. KEYS[1]: what is written.
-- ARGV: 1 channel, 2 how long that is kept in ms, 3 who asks, 4 the number of the beat,
-- 5 the newest format that who asks can read; then the keys.
redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
local served = {}
for at = 6, #ARGV do
  local found = redis.pcall('EXISTS', ARGV[at])
  served[#served + 1] = type(found) == 'number' and '1' or '0'
end
say(ARGV[1], {'beat', ARGV[3], ARGV[4], table.concat(served), ARGV[5]})
return {'done'}
