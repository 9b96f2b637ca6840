-- Bans a login in place of any ban it has.
local newer = find_ban(login_key, login)
if newer then return newer end
put_ban(login_key, login, ends, reason, now, by)
return {'done', now}
