-- Marks the sessions of a banned login as ended: they are told so from now on, and end so when they are met next, which
-- the sweep sees to. What was marked for this ban before, when an answer was lost, counts too.
local count = 0
for _, session in ipairs(sessions) do
  local r, over = load_or_ending(session.id, session.used)
  local marks = not over and r.kind == 'live' and r.l == login and r.b <= at
  if marks then
    redis.call('HSET', r.key, 'r', reason, 'e', now, 'q', now + tombstone_kept, 'y', by, 'w', detail, 'E', 1)
    redis.call('ZADD', expiries, now, r.id)
  end
  if marks or (r.E and over.at >= at) then count = count + 1 end
end
return {'done', count}
