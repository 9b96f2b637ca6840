-- What stands in a hash, and when. KEYS[1]: the hash.
return {'seen', now, redis.call('HGETALL', KEYS[1])}
