-- The ban of a login that is in force.
local newer, ban = find_ban(login_key, login)
if newer then return newer end
if not ban then return {'none'} end
return {'done', unpack(ban)}
