-- The ban of a login that is in force.
local newer = newer_ban(login_key)
if newer then return newer end
local ban = ban_of(login_key, login)
if not ban then return {'none'} end
return {'done', unpack(ban)}
