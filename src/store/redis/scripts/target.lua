-- The session a write is for, or the answer that stands against the write.
local function reach(target)
  local again = repeated(target.operation_id, target.scope, target.used)
  if again then return nil, again end
  local r = load_or_expire(target.id, target.used)
  local against = refusal(r, target.scope)
  if against then return nil, against end
  local versions = target.versions
  if versions and not string.find(versions, string.format(',%.0f,', r.v), 1, true) then return nil, {'version'} end
  return r
end

local function done(target, r, inserted, name, value)
  remember(target.operation_id, 'd', r.id, 'i', inserted, 'n', name or '', 'w', value or '')
  return {'done', now, whole(r), inserted, name or '', value or ''}
end

local function tell_change(target, r, attributes, fields)
  emit('w', now, r, 'v', r.v, 'n', attributes, 'w', fields, 'b', target.by)
end
