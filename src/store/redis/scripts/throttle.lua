-- Slows networks down, each until its end; the later one stands. KEYS[1]: where.
local over = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 2 * #networks)
if #over > 0 then redis.call('ZREM', KEYS[1], unpack(over)) end
for _, each in ipairs(networks) do
  local is_full = redis.call('ZCARD', KEYS[1]) >= most
  redis.call('ZADD', KEYS[1], is_full and 'XX' or 'CH', 'GT', now + each.length, each.network)
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2])) end
return {'done'}
