-- Messages to the nodes that listen: texts, each after its length.
local function publish(channel, ...)
  local message = {}
  for _, texts in ipairs({...}) do
    for _, text in ipairs(texts) do
      if type(text) == 'number' then text = string.format('%.0f', text) end
      message[#message + 1] = struct.pack('>I4c0', #text, text)
    end
  end
  redis.call('PUBLISH', channel, table.concat(message))
end
