-- Ends again what a failover has brought back to life: the same reason, moment and actor. All else is left alone.
-- They were counted when they ended first: now they are nobody's.
node = ''
local again = 0
for _, left in ipairs(endings) do
  local r = load(left.id)
  if r.kind == 'live' or (r.kind == 'ended' and r.E) then
    end_session(r, left.reason, left.at, left.by, left.detail)
    again = again + 1
  end
end
return {'done', again}
