-- Ends what is expired at this moment, files what lives longer where it expires, and forgets what is not there.
local RETRY = 60 * 1000
local newer = 0
for _, session in ipairs(sessions) do
  local r = load(session.id)
  if r.kind == 'newer' then
    newer = newer + 1
    redis.call('ZADD', expiries, 'XX', now + RETRY, r.id)
  elseif r.kind ~= 'live' then
    unlink(r.id, login_key)
  else
    count_use(r, session.used)
    if now >= r.i then
      expire(r)
    else
      redis.call('ZADD', expiries, r.i, r.id)
    end
  end
end
return {'done', now, newer}
