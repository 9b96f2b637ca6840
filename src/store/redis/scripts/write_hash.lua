-- Writes to a hash if all is as it was when that was decided; otherwise tells what stands there. KEYS[1]: the hash.
-- A field is written as it is ('='), as ms from now ('+'), or goes ('-').
local stands = not write.holds_until or now < write.holds_until
local held = redis.call('HMGET', KEYS[1], unpack(write.names))
for at, value in ipairs(write.values) do stands = stands and (held[at] or '') == value end
if not stands then return {'seen', now, redis.call('HGETALL', KEYS[1])} end
local puts, drops = {KEYS[1]}, {KEYS[1]}
for _, field in ipairs(write.changes) do
  if field.how == '-' then
    drops[#drops + 1] = field.name
  else
    puts[#puts + 1] = field.name
    puts[#puts + 1] = field.how == '+' and now + tonumber(field.value) or field.value
  end
end
if drops[2] then redis.call('HDEL', unpack(drops)) end
if puts[2] then redis.call('HSET', unpack(puts)) end
if write.ttl then redis.call('PEXPIRE', KEYS[1], write.ttl) end
return {'done', now}
