-- Ends what is expired at this moment, files what lives longer where it expires, and forgets what is not there.
local RETRY = 60 * 1000
local endings, gone, newer = {}, {}, 0
for _, session in ipairs(sessions) do
  local r, over = load_or_ending(session.id, session.used)
  if r.kind == 'newer' then
    newer = newer + 1
    redis.call('ZADD', expiries, 'XX', now + RETRY, r.id)
  elseif over then
    endings[#endings + 1] = over
  elseif r.kind ~= 'live' then
    gone[#gone + 1] = r.id
  else
    redis.call('ZADD', expiries, r.i, r.id)
  end
end
unlink(gone, login_key)
end_sessions(endings)
return {'done', now, newer}
