-- The next sessions of a login after an id, and the moment at which they were all there.
local login_key, after = arg(), arg()
local from = after == '' and '-' or '(' .. after
return {'done', now, redis.call('ZRANGEBYLEX', tag .. 'l:' .. login_key, from, '+', 'LIMIT', 0, tonumber(arg()))}
