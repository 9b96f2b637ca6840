-- The next sessions of a login after an id, and the moment at which they were all there.
local from = after and '(' .. after or '-'
return {'done', now, redis.call('ZRANGEBYLEX', tag .. 'l:' .. login_key, from, '+', 'LIMIT', 0, most)}
