-- Events after a position (none: from the oldest that is kept), the newest that is over, and the newest of all.
local over = newest_over()
local after = position or over and over[1]
local entries = {}
if most > 0 then entries = redis.call('XRANGE', events, after and '(' .. after or '-', '+', 'COUNT', most) end
return {'done', now, over and over[1] or '', newest and newest[1] or '', entries}
