-- How many sessions are stored, and which of them may be over.
return {'done', now, redis.call('ZCARD', ids),
  redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, most)}
