-- Counts the next sessions in the order of their ids: those that live, and those of them that show as active and as idle.
local from = after and '(' .. after or '-'
local found = redis.call('ZRANGEBYLEX', ids, from, '+', 'LIMIT', 0, most)
local live, active, idle = 0, 0, 0
for _, id in ipairs(found) do
  -- A key of another type is nobody's session.
  local r = redis.pcall('HMGET', tag .. 's:' .. id, 'f', 's', 'u', 'i', 'r')
  local used, ends = tonumber(r[3]), tonumber(r[4])
  if reads(r[1]) and used and ends and now < ends and not r[5] then
    live = live + 1
    if r[2] == 'a' and now - used >= idle_after then
      idle = idle + 1
    elseif r[2] == 'a' then
      active = active + 1
    end
  end
end
return {'done', live, active, idle, #found == most and found[most] or ''}
