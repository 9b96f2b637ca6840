-- Leaves a login banned or not, as it was before a failover. What was written later stays.
local newer = find_ban(login_key, login)
if newer then return newer end
local since = tonumber(redis.call('HGET', ban_key(login_key), 'a'))
if reason then
  if (since and since >= at) or (ends and now >= ends) then return {'done', 0} end
  put_ban(login_key, login, ends, reason, at, by)
else
  if not since or since > at then return {'done', 0} end
  drop_ban(login_key, login, at, by)
end
return {'done', 1}
