-- Arguments are read one by one, in the order in which the request declares them.
local taken = 0
local function arg()
  taken = taken + 1
  return ARGV[taken]
end

-- Nothing is the empty text.
local function given()
  local text = arg()
  return text ~= '' and text or nil
end

local function list(read)
  local all = {}
  for at = 1, tonumber(arg()) do all[at] = read() end
  return all
end

-- The first is the moment that tests put in place of the server's clock, or nothing.
local test_moment = tonumber(arg())
