-- A message to the nodes that listen: texts, each after its length.
local function publish(channel, ...)
  local parts = {}
  for at, text in ipairs({...}) do
    if type(text) == 'number' then text = string.format('%.0f', text) end
    parts[2 * at - 1], parts[2 * at] = #text, text
  end
  redis.call('PUBLISH', channel, struct.pack('>' .. string.rep('I4c0', #parts / 2), unpack(parts)))
end
