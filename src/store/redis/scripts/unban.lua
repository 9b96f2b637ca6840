-- Lifts the ban of a login that is in force.
local newer = newer_ban(login_key)
if newer then return newer end
if not ban_of(login_key, login) then return {'none'} end
drop_ban(login_key, login, now, by)
return {'done', now}
