-- Leaves a trace for a time. KEYS[1]: where.
redis.call('SET', KEYS[1], '', 'PX', kept)
return {'done'}
