-- The first argument is the moment that tests put in place of the server's clock, or nothing.
local function clock()
  local moment = tonumber(arg())
  if moment then return moment end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local now = clock()
