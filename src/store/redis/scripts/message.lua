-- A message to the nodes that listen: texts, each after its length. One is packed in one go; of those that follow in the
-- same script most texts are known by then.
local is_first, packed = true, {}

local function plain(text)
  return type(text) == 'number' and string.format('%.0f', text) or text
end

local function pack(text)
  local known = packed[text]
  if not known then
    local bytes = plain(text)
    known = struct.pack('>I4c0', #bytes, bytes)
    packed[text] = known
  end
  return known
end

local function publish(channel, ...)
  local parts, message = {}, nil
  if is_first then
    is_first = false
    for at, text in ipairs({...}) do
      text = plain(text)
      parts[2 * at - 1], parts[2 * at] = #text, text
    end
    message = struct.pack('>' .. string.rep('I4c0', #parts / 2), unpack(parts))
  else
    for at, text in ipairs({...}) do parts[at] = pack(text) end
    message = table.concat(parts)
  end
  redis.call('PUBLISH', channel, message)
end
