-- How many sessions each registration of a service has.
local all = {}
for format = 1, NEWEST do
  for _, text in ipairs(redis.call('HGETALL', tag .. 'n:' .. format)) do all[#all + 1] = text end
end
return {'done', all}
