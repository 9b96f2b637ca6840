-- Writes to a hash if all is as it was when that was decided; otherwise tells what stands there. KEYS[1]: the hash.
-- ARGV: 1 see clock, 2 the moment at which time alone would change the decision, 3 the TTL in ms, 4 how many fields it
-- was decided from; then these; then their values, nothing if there was none; then each field to be written, how, and
-- its value: '=' as it is, '+' as ms from now, '-' it goes.
local holds_until, ttl, count = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local stands = not holds_until or now < holds_until
local held = redis.call('HMGET', KEYS[1], unpack(ARGV, 5, 4 + count))
for place = 1, count do stands = stands and (held[place] or '') == ARGV[4 + count + place] end
if not stands then return {'seen', now, redis.call('HGETALL', KEYS[1])} end
local puts, drops = {KEYS[1]}, {KEYS[1]}
for place = 5 + 2 * count, #ARGV, 3 do
  local field, how, value = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  if how == '-' then
    drops[#drops + 1] = field
  else
    puts[#puts + 1] = field
    puts[#puts + 1] = how == '+' and now + tonumber(value) or value
  end
end
if drops[2] then redis.call('HDEL', unpack(drops)) end
if puts[2] then redis.call('HSET', unpack(puts)) end
if ttl ~= '' then redis.call('PEXPIRE', KEYS[1], ttl) end
return {'done', now}
