-- Bars the id of a session that is neither there nor told of: none is opened under it any more.
local r = load_or_expire(session.id, session.used)
if r.kind == 'newer' then return {'newer', r.f} end
if r.kind ~= 'none' and r.kind ~= 'over' then return {'there'} end
redis.call('SET', tag .. 'k:' .. r.id, '', 'PX', kept)
return {'done'}
