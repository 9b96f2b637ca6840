-- A message to the nodes that listen: texts, each after its length. Most texts of a script's messages are the same ones.
local packed = {}
local function pack(text)
  local known = packed[text]
  if not known then
    local plain = type(text) == 'number' and string.format('%.0f', text) or text
    known = struct.pack('>I4c0', #plain, plain)
    packed[text] = known
  end
  return known
end

local function publish(channel, ...)
  local parts = {...}
  for at = 1, #parts do parts[at] = pack(parts[at]) end
  redis.call('PUBLISH', channel, table.concat(parts))
end
