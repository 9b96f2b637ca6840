-- The session a write is for, or the answer that stands against the write.
local scope, versions, mark, by

local function target()
  local id, used = arg(), tonumber(arg())
  scope, versions, mark, by = arg(), arg(), arg(), arg()
  local again = repeated(mark, scope, used)
  if again then return nil, again end
  local r = meet(id, used)
  local against = refusal(r, scope)
  if against then return nil, against end
  if versions ~= '' and not string.find(versions, string.format(',%.0f,', r.v), 1, true) then
    return nil, {'version'}
  end
  return r
end

local function done(r, inserted, name, value)
  remember(mark, {'d', r.id, 'i', inserted, 'n', name or '', 'w', value or ''})
  return {'done', now, whole(r), inserted}
end

local function tell_change(r, attributes, fields)
  emit('w', now, r, {'v', r.v, 'n', attributes, 'w', fields, 'b', by})
end
