-- Events after a place (none: from the oldest that is kept), the newest that is over, and the newest of all.
local place, most = arg(), tonumber(arg())
local over = newest_over()
local from = '-'
if place ~= '' then from = '(' .. place end
if place == '' and over then from = '(' .. over[1] end
local entries = {}
if most > 0 then entries = redis.call('XRANGE', events, from, '+', 'COUNT', most) end
return {'done', now, over and over[1] or '', newest and newest[1] or '', entries}
