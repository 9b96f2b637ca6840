-- Removes a profile, and with it the ticket of any load.
redis.call('DEL', key)
return {kept and 'done' or 'none'}
