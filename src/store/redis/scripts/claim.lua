-- Claims an idempotency key, or tells why not. KEYS[1]: the claim.
local fingerprint, draw, lease, kept = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local claim = redis.call('HMGET', KEYS[1], 'f', 'p', 'd', 'u', 'q', 'a')
if claim[1] and claim[1] ~= '1' then return {'newer', claim[1]} end
if claim[5] and now < tonumber(claim[5]) then
  if claim[2] ~= fingerprint then return {'reused'} end
  if claim[6] then return {'answered', claim[6]} end
  if now < tonumber(claim[4]) then return {'busy'} end
  redis.call('HSET', KEYS[1], 'u', now + lease)
  return {'granted', claim[3]}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'f', '1', 'p', fingerprint, 'd', draw, 'u', now + lease, 'q', now + kept)
redis.call('PEXPIRE', KEYS[1], kept)
return {'granted', draw}
