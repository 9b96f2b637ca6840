-- Notes in which format is written, unless a newer one is noted. KEYS[1]: where.
if format > (tonumber(redis.call('GET', KEYS[1])) or 1) then redis.call('SET', KEYS[1], format) end
return {'done'}
