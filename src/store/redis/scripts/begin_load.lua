-- Grants a load, or tells what makes it needless.
local ticket, refresh, lease = arg(), arg() == '1', tonumber(arg())
if not refresh and loaded_by ~= ticket then
  if fresh then return profile('kept') end
  if now < told_until then return {came_to} end
  if now < leased_until then return {'busy'} end
end
note('n', ticket, 'u', now + lease, 'm', 'w')
return {'granted'}
