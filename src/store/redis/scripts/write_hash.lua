-- Writes to a hash if all is as it was when that was decided; otherwise tells what stands there. KEYS[1]: the hash.
-- ARGV: 1 see clock, 2 the moment at which time alone would change the decision, 3 the TTL in ms, 4 how many fields it
-- was decided from; then each of these and its value, nothing if there was none; then each field to be written, how,
-- and its value: '=' as it is, '+' as ms from now, '-' it goes.
local holds_until, ttl, count = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local stands = not holds_until or now < holds_until
for place = 5, 3 + 2 * count, 2 do
  stands = stands and (redis.call('HGET', KEYS[1], ARGV[place]) or '') == ARGV[place + 1]
end
if not stands then return {'seen', now, redis.call('HGETALL', KEYS[1])} end
for place = 5 + 2 * count, #ARGV, 3 do
  local field, how, value = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  if how == '-' then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HSET', KEYS[1], field, how == '+' and now + tonumber(value) or value)
  end
end
if ttl ~= '' then redis.call('PEXPIRE', KEYS[1], ttl) end
return {'done', now}
