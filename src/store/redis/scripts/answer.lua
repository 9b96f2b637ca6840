-- Keeps the answer of a claimed request. KEYS[1]: the claim.
local claim = redis.call('HMGET', KEYS[1], 'f', 'q')
if claim[1] and claim[1] ~= '1' then return {'newer', claim[1]} end
if claim[2] and now < tonumber(claim[2]) then redis.call('HSET', KEYS[1], 'a', ARGV[2]) end
return {'done'}
