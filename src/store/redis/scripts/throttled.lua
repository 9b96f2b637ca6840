-- For how much longer a network is slowed down. KEYS[1]: where.
local till = tonumber(redis.call('ZSCORE', KEYS[1], network) or now)
if till <= now then return {'free'} end
return {'throttled', till - now}
