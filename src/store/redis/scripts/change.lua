-- Changes attributes or fields. Every step is checked before the first is written.
local MAX_COUNT, MAX_BYTES = 256, 256 * 1024
local r, against = reach(target)
if against then return against end
-- Writing fields is no use of the session.
local uses = attributes ~= ''
local count, bytes, inserted, too_long = r.n, r.z, 0, false
local sets, cuts, sum = {}, {}, nil

local function set(name, old_length, value)
  if old_length == 0 then
    count, bytes = count + 1, bytes + #name
  end
  bytes = bytes + #value - old_length
  sets[#sets + 1] = 'a:' .. name
  sets[#sets + 1] = value
end

for _, step in ipairs(steps) do
  local kind, name, value, held = step.kind, step.name, step.value, step.held
  local field = 'a:' .. name
  if kind == 'field' then
    sets[#sets + 1] = name
    sets[#sets + 1] = value
  elseif kind == 'clear' then
    cuts[#cuts + 1] = name
  elseif kind == 'put' then
    local length = redis.call('HSTRLEN', r.key, field)
    if length == 0 then inserted = 1 end
    set(name, length, value)
  elseif kind == 'set' then
    set(name, redis.call('HSTRLEN', r.key, field), value)
  elseif kind == 'swap' then
    if (redis.call('HGET', r.key, field) or '') ~= held then return {'stale'} end
    -- Merged to more than a value may have.
    if value == '' then too_long = true end
    set(name, #held, value)
  elseif kind == 'remove' or kind == 'drop' then
    local length = redis.call('HSTRLEN', r.key, field)
    if length > 0 then
      count, bytes = count - 1, bytes - #name - length
      cuts[#cuts + 1] = field
    elseif kind == 'remove' then
      return {'missing'}
    end
  else
    sum = {name = name, field = field, by = value, old = redis.call('HGET', r.key, field)}
    if sum.old and not string.find(sum.old, '^-?%d+$') then return {'not_a_number'} end
    if not sum.old then
      count, bytes, inserted = count + 1, bytes + #name, 1
    end
  end
end
if too_long then return {'limit', 'value'} end
if uses and count > MAX_COUNT then return {'limit', 'count'} end

-- Lua counts to 2^53 only, so Redis adds; should the sum be too long, the old value is put back.
local function add()
  if sum.old == '-0' then redis.call('HSET', r.key, sum.field, '0') end
  local added = redis.pcall('HINCRBY', r.key, sum.field, sum.by)
  if type(added) == 'table' and added.err then return {'not_a_number'} end
  sum.new = redis.call('HGET', r.key, sum.field)
  bytes = bytes + #sum.new - #(sum.old or '')
  if bytes <= MAX_BYTES then return end
  if sum.old then
    redis.call('HSET', r.key, sum.field, sum.old)
  else
    redis.call('HDEL', r.key, sum.field)
  end
end
if sum then
  local failed = add()
  if failed then return failed end
end
if uses and bytes > MAX_BYTES then return {'limit', 'total'} end

if uses then touch(r, now) end
r.v = r.v + 1
if #cuts > 0 then redis.call('HDEL', r.key, unpack(cuts)) end
redis.call('HSET', r.key, 'v', r.v, 'u', r.u, 'i', r.i, 'n', count, 'z', bytes, unpack(sets))
tell_change(target, r, attributes, fields)
return done(target, r, inserted, sum and sum.name, sum and sum.new)
